package checkout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/cas"
)

var someFiles = map[string]string{
	"scene.blend": "scene", "textures/wood.png": "wood", "textures/deep/er/x.exr": "x", "lib/.level": "not a mark", "copy.blend": "scene",
}

func (f farm) mustCreate(t testing.TB, wanted string, m Manifest) string {
	t.Helper()
	name, err := f.Create(t.Context(), wanted, m)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func (f farm) contents(t testing.TB, name string) map[string]string {
	t.Helper()
	path, err := f.Path(name)
	if err != nil {
		t.Fatal(err)
	}
	return contents(t, path)
}

func TestCreate(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	for _, wanted := range []string{"shot", "film/act 1/shot", "take: 1?"} {
		name := f.mustCreate(t, wanted, m)
		if name != cleanName(wanted) {
			t.Errorf("%q became %q", wanted, name)
		}
		if diff := cmp.Diff(someFiles, f.contents(t, name)); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
	f.nothingLeft(t)
}

func TestCreateOfNothing(t *testing.T) {
	f := newFarm(t)
	name := f.mustCreate(t, "", Manifest{})
	if got := f.contents(t, name); name != "job" || len(got) != 0 {
		t.Errorf("%q holds %v", name, got)
	}
}

// Workers mount the shared storage elsewhere, and people reach it through links.
func TestLinksHoldWhereverTheStorageIs(t *testing.T) {
	real := t.TempDir()
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(real, alias); err != nil {
		t.Fatal(err)
	}
	store := newStore(t, filepath.Join(alias, "blobs"))
	c, err := New(filepath.Join(alias, "jobs"), store)
	if err != nil {
		t.Fatal(err)
	}
	f := farm{shared: real, store: store, Checkouts: c}
	name := f.mustCreate(t, "film/shot", store.tree(t, someFiles))
	target, err := os.Readlink(filepath.Join(real, "jobs", name, "textures", "deep", "er", "x.exr"))
	if want := "../../../../../../blobs/" + blobOf("x").Digest.String(); err != nil || target != want {
		t.Errorf("target %q, %v; want %q", target, err, want)
	}
	moved := filepath.Join(filepath.Dir(alias), "mounted elsewhere")
	if err := os.Rename(real, moved); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someFiles, contents(t, filepath.Join(moved, "jobs", name))); diff != "" {
		t.Error(diff)
	}
}

func TestLinksHoldIfTheRootIsALink(t *testing.T) {
	shared, other := t.TempDir(), filepath.Join(t.TempDir(), "another", "disk")
	if err := os.MkdirAll(other, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(shared, "jobs")); err != nil {
		t.Fatal(err)
	}
	store := newStore(t, filepath.Join(shared, "blobs"))
	c, err := New(filepath.Join(shared, "jobs"), store)
	if err != nil {
		t.Fatal(err)
	}
	f := farm{shared: shared, store: store, Checkouts: c}
	name := f.mustCreate(t, "shot", store.tree(t, someFiles))
	if diff := cmp.Diff(someFiles, f.contents(t, name)); diff != "" {
		t.Error(diff)
	}
}

func TestMissingBlobs(t *testing.T) {
	f := newFarm(t)
	entries := []Entry{
		{Path: mustPath(t, "a"), Blob: f.store.put(t, "stored")},
		{Path: mustPath(t, "b"), Blob: blobOf("not stored")},
	}
	wrongSize := entries[0].Blob
	wrongSize.Size++
	for i := range 12 {
		entries = append(entries, Entry{Path: mustPath(t, fmt.Sprintf("c%02d", i)), Blob: wrongSize})
	}
	_, err := f.Create(t.Context(), "shot", mustManifest(t, entries))
	var missing *MissingBlobsError
	if !errors.Is(err, ErrMissingBlobs) || !errors.As(err, &missing) || missing.Total != 13 || len(missing.First) != 10 {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{`"b" ` + blobOf("not stored").String(), `"c08"`, "and 3 more"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if names := f.names(t, ""); len(names) > 0 {
		t.Errorf("left %v", names)
	}
	f.nothingLeft(t)
}

// Whatever has the name, and on whichever component, it stays as it is.
func TestTakenNames(t *testing.T) {
	f := newFarm(t, WithRandom(&countingBytes{}))
	m := f.store.tree(t, map[string]string{"new": "new"})
	old := f.store.tree(t, map[string]string{".level": "only a link", "old": "old"})
	onlyMark := f.store.tree(t, map[string]string{".level": "only a link"})
	for name, m := range map[string]Manifest{"checkout": old, "marked": onlyMark, "level/checkout": old, "empty": {}} {
		f.mustCreate(t, name, m)
	}
	if err := os.WriteFile(filepath.Join(f.root, "file"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("level", filepath.Join(f.root, "link")); err != nil {
		t.Fatal(err)
	}
	before := contentsBut(t, f.root, nil)
	var created []string
	for _, wanted := range []string{
		"checkout", "marked", "level", "level/checkout", "empty", "file", "link", "checkout/x", "marked/x", "empty/x/y", "file/x", "link/checkout",
	} {
		name := f.mustCreate(t, wanted, m)
		if name == wanted || !sameButSuffix(wanted, name) {
			t.Errorf("%q became %q", wanted, name)
		}
		if diff := cmp.Diff(map[string]string{"new": "new"}, f.contents(t, name)); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
		created = append(created, name)
	}
	if diff := cmp.Diff(before, contentsBut(t, f.root, created)); diff != "" {
		t.Errorf("what was there changed: %s", diff)
	}
	f.nothingLeft(t)
	for _, name := range created {
		if err := f.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(before, contentsBut(t, f.root, nil)); diff != "" {
		t.Errorf("removing what came left something or took too much: %s", diff)
	}
}

// countingBytes gives 0, 1, 2, ...
type countingBytes struct{ next byte }

func (c *countingBytes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = c.next
		c.next++
	}
	return len(b), nil
}

// sameButSuffix tells whether got is wanted with one suffix on one component.
func sameButSuffix(wanted, got string) bool {
	for cut := range len(got) - 4 {
		if got[cut] == '-' && got[:cut]+got[cut+suffixBytes:] == wanted {
			return true
		}
	}
	return false
}

// contentsBut is contents without the checkouts of the created names and the levels made for them.
func contentsBut(t testing.TB, root string, created []string) map[string]string {
	t.Helper()
	all := contents(t, root)
	maps.DeleteFunc(all, func(path, _ string) bool {
		mark, isMark := strings.CutSuffix(path, "/"+levelMark)
		return path == buildingDir+"/" || slices.ContainsFunc(created, func(name string) bool {
			return strings.HasPrefix(path, name+"/") || isMark && mark != "level" && strings.HasPrefix(name, mark+"/")
		})
	})
	return all
}

func TestAllVariantsTaken(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	f.mustCreate(t, "film/shot", m)
	f.mustCreate(t, "film/shot-aaaa", m)
	var draws int
	f.random = readerFunc(func(b []byte) (int, error) {
		if len(b) == 1 { // a character of a suffix
			draws++
			b[0] = 0
			return 1, nil
		}
		return (&countingBytes{next: byte(draws)}).Read(b)
	})
	before := contents(t, f.root)
	_, err := f.Create(t.Context(), "film/shot", m)
	if !errors.Is(err, ErrNameTaken) || !strings.Contains(err.Error(), `"film/shot"`) {
		t.Errorf("got %v", err)
	}
	if draws != 4*maxNames {
		t.Errorf("%d characters drawn", draws)
	}
	if diff := cmp.Diff(before, contents(t, f.root)); diff != "" {
		t.Error(diff)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Two actors want one name: both get a whole checkout, whoever is first at whichever step.
func TestTwoCreateAtOnce(t *testing.T) {
	for _, wanted := range []string{"shot", "film/shot"} {
		for _, at := range []step{stepAside, stepLinked, stepSynced, stepLevel, stepRenamed, stepPublished} {
			t.Run(fmt.Sprintf("%s, %s", wanted, at), func(t *testing.T) {
				f := newFarm(t)
				m := f.store.tree(t, someFiles)
				other := f.store.tree(t, map[string]string{"other": "other"})
				rival, err := New(filepath.Join(t.TempDir(), "jobs"), f.store)
				if err != nil {
					t.Fatal(err)
				}
				rival.root, rival.shared = f.root, f.Checkouts.shared
				var rivalName string
				f.atStep = func(s step) error {
					if s == at && rivalName == "" {
						rivalName, err = rival.Create(t.Context(), wanted, other)
					}
					return err
				}
				name := f.mustCreate(t, wanted, m)
				if reached := at != stepLevel || wanted == "film/shot"; name == rivalName || (rivalName != "") != reached {
					t.Fatalf("one got %q, the other %q", name, rivalName)
				}
				if diff := cmp.Diff(someFiles, f.contents(t, name)); diff != "" {
					t.Error(diff)
				}
				if rivalName != "" {
					if diff := cmp.Diff(map[string]string{"other": "other"}, f.contents(t, rivalName)); diff != "" {
						t.Error(diff)
					}
				}
				f.nothingLeft(t)
			})
		}
	}
}

func TestManyCreateAndRemoveAtOnce(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	kept := f.mustCreate(t, "film/kept", m)
	var wait sync.WaitGroup
	names := make([][]string, 8)
	for i := range names {
		wait.Go(func() {
			for range 10 {
				wanted := []string{"shot", "film/shot", "other/shot"}[i%3]
				name, err := f.Create(t.Context(), wanted, m)
				if err != nil {
					t.Error(err)
					return
				}
				names[i] = append(names[i], name)
				if i%2 == 0 {
					if err := f.Remove(t.Context(), name); err != nil {
						t.Error(err)
					}
					names[i] = names[i][:0]
				}
			}
		})
	}
	wait.Wait()
	all := append(slices.Concat(names...), kept)
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) || len(all) != 41 {
		t.Fatalf("a name was given twice, or lost: %q", all)
	}
	for _, name := range all {
		if diff := cmp.Diff(someFiles, f.contents(t, name)); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
		if err := f.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	f.nothingLeft(t)
}

// A fault at any step leaves nothing of ours and everything of others.
func TestFaultsLeaveNothing(t *testing.T) {
	fault := errors.New("the disk is on fire")
	for _, wanted := range []string{"shot", "film/shot", "new/level/shot"} {
		for _, at := range []step{stepAside, stepLinked, stepSynced, stepLevel, stepRenamed, stepPublished} {
			if wanted != "new/level/shot" && at == stepLevel {
				continue // its levels are there already
			}
			t.Run(fmt.Sprintf("%s, %s", wanted, at), func(t *testing.T) {
				f := newFarm(t)
				m := f.store.tree(t, someFiles)
				f.mustCreate(t, "shot", m)
				f.mustCreate(t, "film/shot", m)
				before := contents(t, f.root)
				f.atStep = func(s step) error {
					if s == at {
						return fault
					}
					return nil
				}
				name, err := f.Create(t.Context(), wanted, m)
				if !errors.Is(err, fault) || name != "" {
					t.Fatalf("got %q, %v", name, err)
				}
				if diff := cmp.Diff(before, contents(t, f.root)); diff != "" {
					t.Error(diff)
				}
				f.atStep = nil
				f.mustCreate(t, wanted, m)
			})
		}
	}
}

func TestFullDisk(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		f := newFarm(t)
		f.atStep = func(s step) error {
			if s == stepLinked {
				return &os.LinkError{Op: "symlink", Err: full}
			}
			return nil
		}
		if _, err := f.Create(t.Context(), "shot", f.store.tree(t, someFiles)); !errors.Is(err, cas.ErrNoSpace) || !errors.Is(err, full) {
			t.Errorf("%v: got %v", full, err)
		}
		f.nothingLeft(t)
	}
}

func TestNewRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs")
	if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := New(path, newStore(t, t.TempDir())); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestCancelledCreateLeavesNothing(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	for _, at := range []step{stepAside, stepLinked, stepSynced} {
		ctx, cancel := context.WithCancel(t.Context())
		f.atStep = func(s step) error {
			if s == at {
				cancel()
			}
			return nil
		}
		if _, err := f.Create(ctx, "shot", m); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", at, err)
		}
		if names := f.names(t, ""); len(names) > 0 {
			t.Errorf("%s: left %v", at, names)
		}
		f.nothingLeft(t)
	}
}

func TestRemove(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	for _, name := range []string{"shot", "film/act/one", "film/two"} {
		f.mustCreate(t, name, m)
	}
	for _, refused := range []struct {
		name string
		want error
	}{
		{"film", ErrNotCheckout}, {"film/act", ErrNotCheckout}, {"shot/textures", ErrNotCheckout}, {"shot/textures/deep", ErrNotCheckout},
		{"film/two/scene.blend", ErrNotCheckout}, {"", ErrBadName}, {"..", ErrBadName}, {"../blobs", ErrBadName}, {"shot/../film", ErrBadName},
		{"/shot", ErrBadName}, {buildingDir, ErrBadName}, {"film/" + levelMark, ErrBadName},
	} {
		before := contents(t, f.root)
		if err := f.Remove(t.Context(), refused.name); !errors.Is(err, refused.want) {
			t.Errorf("Remove(%q): %v, want %v", refused.name, err, refused.want)
		}
		if diff := cmp.Diff(before, contents(t, f.root)); diff != "" {
			t.Errorf("Remove(%q) changed %s", refused.name, diff)
		}
	}
	steps := []struct {
		name string
		left []string
	}{
		{"never/was", []string{"film", "shot"}}, {"film/act/one", []string{"film", "shot"}}, {"film/act/one", []string{"film", "shot"}},
		{"film/two", []string{"shot"}}, {"shot", []string{}}, {"shot", []string{}},
	}
	for _, s := range steps {
		if err := f.Remove(t.Context(), s.name); err != nil {
			t.Errorf("Remove(%q): %v", s.name, err)
		}
		if got := f.names(t, ""); !slices.Equal(got, s.left) {
			t.Errorf("after Remove(%q): %q, want %q", s.name, got, s.left)
		}
	}
	f.nothingLeft(t)
	if got := contents(t, f.store.dir); len(got) != 4 {
		t.Errorf("blobs were deleted: %v left", got)
	}
}

// A checkout that comes into a level just as the level is being removed stays, and so does the level.
func TestCreateWhileItsLevelGoes(t *testing.T) {
	f := newFarm(t)
	m := f.store.tree(t, someFiles)
	f.mustCreate(t, "film/one", m)
	f.atStep = func(s step) error {
		if s != stepUnmarked {
			return nil
		}
		// What a Create that has seen the mark does next.
		return os.Rename(filepath.Join(f.root, "gone", "two"), filepath.Join(f.root, "film", "two"))
	}
	f.mustCreate(t, "gone/two", m)
	if err := f.Remove(t.Context(), "film/one"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someFiles, f.contents(t, "film/two")); diff != "" {
		t.Error(diff)
	}
	f.atStep = nil
	if err := f.Remove(t.Context(), "film/two"); err != nil {
		t.Error(err)
	}
	if names := f.names(t, ""); !slices.Equal(names, []string{"gone"}) {
		t.Errorf("left %v", names)
	}
}

// A model of names and their files: whatever is created and removed, everything else stays as it was.
func TestCreateAndRemoveAgainstAModel(t *testing.T) {
	f := newFarm(t)
	trees := []map[string]string{{}, {"a": "x"}, {".level": "y"}, {"a/b/c": "x", "d": "y"}}
	var manifests []Manifest
	for _, files := range trees {
		manifests = append(manifests, f.store.tree(t, files))
	}
	// Every change waits for the disk, so that the runs are short; levels come and go within four changes.
	rapid.Check(t, func(rt *rapid.T) {
		model := map[string]map[string]string{}
		wanted := rapid.SampledFrom([]string{"a", "a/b", "a/b/c", "b/a"})
		for range rapid.IntRange(1, 6).Draw(rt, "changes") {
			if len(model) > 0 && rapid.Bool().Draw(rt, "remove") {
				name := rapid.SampledFrom(slices.Sorted(maps.Keys(model))).Draw(rt, "name")
				if err := f.Remove(t.Context(), name); err != nil {
					rt.Fatal(err)
				}
				delete(model, name)
			} else {
				i := rapid.IntRange(0, len(trees)-1).Draw(rt, "tree")
				name, err := f.Create(t.Context(), wanted.Draw(rt, "wanted"), manifests[i])
				if err != nil || model[name] != nil {
					rt.Fatalf("created %q: %v", name, err)
				}
				model[name] = trees[i]
			}
			for name, files := range model {
				if diff := cmp.Diff(files, f.contents(t, name)); diff != "" {
					rt.Fatalf("%q: %s", name, diff)
				}
			}
		}
		for name := range model {
			if err := f.Remove(t.Context(), name); err != nil {
				rt.Fatal(err)
			}
		}
		if names := f.names(t, ""); len(names) > 0 {
			rt.Fatalf("left %v", names)
		}
	})
}

func TestManyFoldersAreSyncedToo(t *testing.T) {
	f := newFarm(t)
	files := map[string]string{}
	for i := range syncEachUpTo + 10 {
		files[fmt.Sprintf("d%d/f", i)] = "x"
	}
	name := f.mustCreate(t, "wide", f.store.tree(t, files))
	if diff := cmp.Diff(files, f.contents(t, name)); diff != "" {
		t.Error(diff)
	}
}
