package checkout_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/checkout"
)

// treeOf makes a manifest whose files have the given contents.
func treeOf(t rapid.TB, contents ...string) checkout.Manifest {
	var entries []checkout.Entry
	for i, content := range contents {
		path, err := checkout.ParsePath(fmt.Sprintf("file%d", i))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, checkout.Entry{Path: path, Blob: cas.Blob{Digest: cas.SumBytes([]byte(content)), Size: int64(len(content))}})
	}
	m, err := checkout.NewManifest(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUsageCountsWhatIsSharedOnce(t *testing.T) {
	trees := map[cas.Blob]checkout.Manifest{}
	var names []cas.Blob
	for _, m := range []checkout.Manifest{treeOf(t, "a", "bb", "bb"), treeOf(t, "bb", "cccc"), treeOf(t)} {
		names = append(names, cas.Blob{Digest: m.Digest()})
		trees[names[len(names)-1]] = m
	}
	got, err := checkout.UsageOf(names, 3, func(b cas.Blob) (checkout.Manifest, error) { return trees[b], nil })
	want := []checkout.Usage{{Files: 3, Logical: 5, Unique: 1, Shared: 2}, {Files: 2, Logical: 6, Unique: 4, Shared: 2}, {}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("usage of three trees (-want +got), %v:\n%s", err, diff)
	}
	broken := errors.New("broken")
	if _, err := checkout.UsageOf(names, 3, func(cas.Blob) (checkout.Manifest, error) { return checkout.Manifest{}, broken }); !errors.Is(err, broken) {
		t.Errorf("a manifest that cannot be read: %v", err)
	}
}

func TestUsageIsTheSameInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trees := map[cas.Blob]checkout.Manifest{}
		var names []cas.Blob
		for i := range rapid.IntRange(1, 4).Draw(t, "trees") {
			m := treeOf(t, rapid.SliceOfN(rapid.StringMatching(`[a-e]{1,2}`), 0, 6).Draw(t, "files")...)
			name := cas.Blob{Digest: m.Digest(), Size: int64(i)}
			names, trees[name] = append(names, name), m
		}
		read := func(b cas.Blob) (checkout.Manifest, error) { return trees[b], nil }
		atOnce, err := checkout.UsageOf(names, 0, read)
		if err != nil {
			t.Fatal(err)
		}
		inParts, err := checkout.UsageOf(names, 3<<19, read)
		if diff := cmp.Diff(atOnce, inParts); diff != "" || err != nil {
			t.Errorf("in parts (-at once +in parts), %v:\n%s", err, diff)
		}
	})
}
