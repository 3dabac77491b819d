package checkout

import "iter"

// Change is one path on which two manifests differ.
type Change struct {
	Path Path
	// Before and After are the entries of that path; the zero Entry where a manifest has none.
	Before, After Entry
}

// Added tells that only the second manifest has the path.
func (c Change) Added() bool { return c.Before.Path.IsZero() }

// Removed tells that only the first manifest has the path.
func (c Change) Removed() bool { return c.After.Path.IsZero() }

// Content tells that both manifests have the path, with different blobs.
func (c Change) Content() bool { return c.both() && c.Before.Blob != c.After.Blob }

// Mode tells that both manifests have the path, with different modes.
func (c Change) Mode() bool { return c.both() && c.Before.Mode != c.After.Mode }

// Origin tells that both manifests have the path, with different origins. Where that is all, their checkouts are equal.
func (c Change) Origin() bool { return c.both() && c.Before.Origin != c.After.Origin }

func (c Change) both() bool { return !c.Added() && !c.Removed() }

// Diff gives every path on which a and b differ, in ascending order: none exactly if their digests are equal.
func Diff(a, b Manifest) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		before, after := a.entries, b.entries
		for len(before) > 0 || len(after) > 0 {
			var c Change
			if len(after) == 0 || len(before) > 0 && before[0].Path.Compare(after[0].Path) <= 0 {
				c.Path, c.Before, before = before[0].Path, before[0], before[1:]
			}
			if len(after) > 0 && (c.Path.IsZero() || c.Path == after[0].Path) {
				c.Path, c.After, after = after[0].Path, after[0], after[1:]
			}
			if c.Before != c.After && !yield(c) {
				return
			}
		}
	}
}
