package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
	"hayloft/cas/castest"
)

func put(t testing.TB, store *Store, content []byte) cas.Blob {
	t.Helper()
	blob, err := castest.Put(t.Context(), store, content)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// tree lists a directory, as "path mode size" in order.
func tree(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size := info.Size()
		if info.IsDir() {
			size = 0
		}
		name, err := filepath.Rel(root, path)
		all = append(all, fmt.Sprintf("%s %v %d", filepath.ToSlash(name), info.Mode(), size))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLayoutOnDisk(t *testing.T) {
	root := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	store := reopen(t, root)
	put(t, store, large("hay"))
	stamp, err := os.ReadFile(filepath.Join(root, "format"))
	if err != nil || string(stamp) != "hayloft-blobs 2\n" {
		t.Errorf("format is %q, %v", stamp, err)
	}
	digest := cas.SumBytes(large("hay"))
	want := filepath.Join(root, "objects", digest.String()[:2], digest.String()[2:])
	if store.Path(digest) != want || !filepath.IsAbs(want) {
		t.Errorf("Path(%v) = %s, want %s", digest, store.Path(digest), want)
	}
	info, err := os.Stat(want)
	if err != nil || info.Mode() != 0o444 {
		t.Errorf("the blob's file: %v, %v; want mode 0444", info, err)
	}
	fanOutDirs, err := os.ReadDir(filepath.Join(root, "objects"))
	if err != nil || len(fanOutDirs) != 256 {
		t.Errorf("%d fan-out folders, %v; want 256", len(fanOutDirs), err)
	}
}

// TestOpenLeavesOthersAlone gives Open directories that are not for it, and checks that not a byte in them changes.
func TestOpenLeavesOthersAlone(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       error
		says       string
	}{
		"project":          {"scene.blend", "BLENDER", ErrNotAStore, "scene.blend"},
		"somebody's lock":  {"lock", "pid 4711", ErrNotAStore, "lock"},
		"newer":            {"format", "hayloft-blobs 3\nchunked\n", cas.ErrNewerFormat, "format 3"},
		"damaged":          {"format", "hayloft-blobs one\n", errDamagedFormat, "backup"},
		"something else's": {"format", "png", errDamagedFormat, "backup"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			before := tree(t, root)
			if _, err := Open(root); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), root) {
				t.Errorf("Open: %v; want %v that mentions %q and %s", err, c.want, c.says, root)
			}
			if _, err := OpenReadOnly(root); !errors.Is(err, c.want) {
				t.Errorf("OpenReadOnly: %v; want %v", err, c.want)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("the directory changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestOpenReadOnlyNeedsAStore(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, root := range []string{missing, t.TempDir()} {
		if _, err := OpenReadOnly(root); !errors.Is(err, ErrNotAStore) {
			t.Errorf("OpenReadOnly(%s): %v, want ErrNotAStore", root, err)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenReadOnly made the directory: %v", err)
	}
}

func TestOneWriterManyReaders(t *testing.T) {
	root := t.TempDir()
	store := reopen(t, root)
	blob := put(t, store, []byte("hay"))
	w, err := store.Create(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root); !errors.Is(err, ErrInUse) {
		t.Fatalf("second Open: %v, want ErrInUse", err)
	}
	before := tree(t, root)
	view, err := OpenReadOnly(root)
	if err != nil {
		t.Fatal(err)
	}
	defer closeView(t, view)
	if !isHeld(t, view, blob) {
		t.Error("a reader beside the writer does not find the blob")
	}
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("the reader changed the directory (-before +after):\n%s", diff)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create(t.Context(), -1); !errors.Is(err, cas.ErrClosed) {
		t.Errorf("Create after Close: %v, want ErrClosed", err)
	}
	if _, err := Open(root); !errors.Is(err, ErrInUse) {
		t.Errorf("Open while a writer is open: %v, want ErrInUse", err)
	}
	if err := w.Commit(t.Context(), castest.BlobOf(nil)); err != nil {
		t.Errorf("commit of a writer from before Close: %v", err)
	}
	if again := reopen(t, root); !isHeld(t, again, castest.BlobOf(nil)) {
		t.Error("what was committed after Close is not there")
	}
}

func TestUnsoundFileIsRepairedByCommit(t *testing.T) {
	store := openNew(t)
	content := large("the right bytes")
	path := store.Path(cas.SumBytes(content))
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if blob := castest.BlobOf(content); isHeld(t, store, blob) {
		t.Error("a file of another size is taken for the blob")
	}
	put(t, store, content)
	wantSound(t, store)
	if !isHeld(t, store, castest.BlobOf(content)) {
		t.Error("the blob was committed and is not there")
	}
}

// racingVolume is a file system on which another process publishes the same blob just before this one does.
type racingVolume struct {
	*faultyVolume
	content []byte
}

func (v racingVolume) publish(temp, path string) error {
	if err := os.WriteFile(path, v.content, 0o444); err != nil {
		return err
	}
	return v.faultyVolume.publish(temp, path)
}

func TestLoserOfARaceSyncsToo(t *testing.T) {
	content := large("the same bytes")
	volume := racingVolume{newFaultyVolume(t, 0, crash), content}
	root := t.TempDir()
	store, err := openOn(volume, root)
	if err != nil {
		t.Fatal(err)
	}
	defer die(store)
	volume.steps = nil
	put(t, store, content)
	want := []string{"create", "write", "seal", "publish", "sync folder", "remove"}
	if diff := cmp.Diff(want, volume.steps); diff != "" {
		t.Errorf("steps of the loser (-want +got):\n%s", diff)
	}
	wantNothingIncoming(t, root)
	wantSound(t, store)
}

func TestStepsOfOneCommit(t *testing.T) {
	volume := newFaultyVolume(t, 0, crash)
	store, err := openOn(volume, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer die(store)
	for what, want := range map[string][]string{
		"new":       {"create", "write", "seal", "publish", "sync folder"},
		"duplicate": {"create", "write", "remove"},
	} {
		if what == "duplicate" {
			put(t, store, large(what))
		}
		volume.steps = nil
		put(t, store, large(what))
		if diff := cmp.Diff(want, volume.steps); diff != "" {
			t.Errorf("steps for a %s blob (-want +got):\n%s", what, diff)
		}
	}
}

// heldVolume stops in the sync of a folder until it is let go.
type heldVolume struct {
	osVolume
	reached chan struct{}
	result  chan error
}

func (v *heldVolume) syncDir(dir string) error {
	if filepath.Base(filepath.Dir(dir)) != objectsName {
		return v.osVolume.syncDir(dir)
	}
	v.reached <- struct{}{}
	return <-v.result
}

// wantHidden checks that a blob whose file has its name is not told of.
func wantHidden(t *testing.T, store *Store, blob cas.Blob, when string) {
	t.Helper()
	if _, err := os.Stat(store.Path(blob.Digest)); err != nil {
		t.Errorf("%s the name is not there, so that this test shows nothing: %v", when, err)
	}
	if isHeld(t, store, blob) {
		t.Errorf("%s Stat tells of the blob", when)
	}
	if r, err := store.Open(t.Context(), blob.Digest); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("%s Open gives %v, %v", when, r, err)
	}
	if err := store.List(t.Context(), cas.Digest{}, func(b cas.Blob) error { return errors.New("listed") }); err != nil {
		t.Errorf("%s List: %v", when, err)
	}
}

func TestBlobIsHiddenUntilItsNameIsDurable(t *testing.T) {
	volume := &heldVolume{reached: make(chan struct{}), result: make(chan error)}
	store, err := openOn(volume, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	content := large("not yet")
	blob := castest.BlobOf(content)
	committed := make(chan error)
	commit := func() {
		_, err := castest.Put(t.Context(), store, content)
		committed <- err
	}
	syncing := func() {
		t.Helper()
		select {
		case <-volume.reached:
		case err := <-committed:
			t.Fatalf("the commit is back without a sync: %v", err)
		}
	}

	go commit()
	syncing()
	wantHidden(t, store, blob, "before the sync")
	volume.result <- syscall.EIO
	if err := <-committed; !errors.Is(err, syscall.EIO) {
		t.Errorf("commit whose sync failed: %v, want EIO", err)
	}
	wantHidden(t, store, blob, "after a failed sync")
	if store.ledger.allSettled() {
		t.Error("after a failed sync the store would be marked as closed in order")
	}

	go commit()
	syncing()
	go commit() // waits for the first, and then finds the blob
	volume.result <- nil
	for back := 0; back < 2; {
		select {
		case err := <-committed:
			back++
			if err != nil {
				t.Error(err)
			}
		case <-volume.reached:
			t.Error("the second commit syncs a name that is durable")
			volume.result <- nil
		}
	}
	if !isHeld(t, store, blob) {
		t.Error("the blob is hidden after a sync that succeeded")
	}
	wantSound(t, store)
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func TestReservedTailIsCut(t *testing.T) {
	store := openNew(t)
	content := castest.Content(1, reserveFrom)
	w, err := store.Create(t.Context(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	blob := castest.BlobOf(content)
	if err := w.Commit(t.Context(), blob); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(store.Path(blob.Digest))
	if err != nil || info.Size() != blob.Size {
		t.Fatalf("%v, %v; want %d bytes", info, err, blob.Size)
	}
	if used := blocksUsed(info); used > 2*blob.Size {
		t.Errorf("the blob of %d bytes takes %d on disk", blob.Size, used)
	}
}

func TestFullDiskIsReportedAtOnceAndFreed(t *testing.T) {
	volume := newFaultyVolume(t, 0, func(*faultyVolume) error { return syscall.ENOSPC })
	root := t.TempDir()
	store, err := openOn(volume, root)
	if err != nil {
		t.Fatal(err)
	}
	defer die(store)
	volume.at = len(volume.steps) + 4 // create, write, write, write
	w, err := store.Create(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	body := castest.Content(1, 5*bufferSize)
	n, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(body)})
	if !errors.Is(err, cas.ErrNoSpace) || n >= int64(len(body)) {
		t.Errorf("copy: %d, %v; want ErrNoSpace before the end", n, err)
	}
	wantNothingIncoming(t, root)
	err = w.Commit(t.Context(), castest.BlobOf(body[:n]))
	if !errors.Is(err, cas.ErrNoSpace) || strings.Count(err.Error(), cas.ErrNoSpace.Error()) != 1 {
		t.Errorf("commit: %v; want ErrNoSpace, said once", err)
	}
}

// TestNotInOrderAfterAFailedSync: the next process must sync the name that this one could not.
func TestNotInOrderAfterAFailedSync(t *testing.T) {
	volume := newFaultyVolume(t, 0, func(*faultyVolume) error { return syscall.EIO })
	root := t.TempDir()
	store, err := openOn(volume, root)
	if err != nil {
		t.Fatal(err)
	}
	volume.at = len(volume.steps) + 5 // create, write, seal, publish, sync folder
	if _, err := castest.Put(t.Context(), store, large("hay")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("put: %v, want EIO", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if mark, err := os.ReadFile(layout(root).join(lockName)); len(mark) != 0 || err != nil {
		t.Errorf("the lock says %q, %v; want nothing", mark, err)
	}
}

// TestNameIsMadeAnewAfterAFailedSync: nobody knows what a failed sync left, and asking again may hide that. So the next
// commit makes the name again.
func TestNameIsMadeAnewAfterAFailedSync(t *testing.T) {
	volume := newFaultyVolume(t, 0, func(*faultyVolume) error { return syscall.EIO })
	store, err := openOn(volume, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer die(store)
	volume.steps, volume.at = nil, 5 // create, write, seal, publish, sync folder
	if _, err := castest.Put(t.Context(), store, large("hay")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("put: %v, want EIO", err)
	}
	volume.steps, volume.at = nil, 0
	put(t, store, large("hay"))
	want := []string{"create", "write", "seal", "publish", "replace", "sync folder"}
	if diff := cmp.Diff(want, volume.steps); diff != "" {
		t.Errorf("steps of the second commit (-want +got):\n%s", diff)
	}
}

// idle is a body that never gives anything and never ends.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestBodyWithoutProgressIsGivenUp(t *testing.T) {
	for _, size := range []int{0, 1000, 2 * bufferSize} {
		w, err := openNew(t).Create(t.Context(), -1)
		if err != nil {
			t.Fatal(err)
		}
		body := io.MultiReader(bytes.NewReader(castest.Content(1, size)), idle{})
		n, err := io.Copy(w, struct{ io.Reader }{body})
		if !errors.Is(err, io.ErrNoProgress) || n != int64(size) {
			t.Errorf("copy of %d bytes and then nothing: %d, %v", size, n, err)
		}
		w.Abort()
	}
}

func TestLinkStandsInForRename(t *testing.T) {
	dir := t.TempDir()
	temp, path := filepath.Join(dir, "temp"), filepath.Join(dir, "path")
	for _, publish := range []func(string, string) error{linkInto, osVolume{}.publish} {
		if err := errors.Join(os.WriteFile(temp, []byte("new"), 0o444), os.RemoveAll(path)); err != nil {
			t.Fatal(err)
		}
		if err := publish(temp, path); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(temp); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the temporary name is still there: %v", err)
		}
		if err := os.WriteFile(temp, []byte("newer"), 0o444); err != nil {
			t.Fatal(err)
		}
		if err := publish(temp, path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("publish over a name that is taken: %v, want ErrExist", err)
		}
		if text, err := os.ReadFile(path); string(text) != "new" {
			t.Errorf("the file there has become %q, %v", text, err)
		}
		if err := os.Remove(temp); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerifyFindings(t *testing.T) {
	store := openNew(t)
	root := string(store.layout)
	sound, rotten := put(t, store, large("sound")), put(t, store, large("rotten"))
	writable := put(t, store, large("writable"))
	name, err := cas.ParseRefName("broken")
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, store.Path(rotten.Digest), string(large("rattan")))
	for path, text := range map[string]string{
		"objects/README":     "",
		"objects/00/note":    "",
		"refs/.hidden":       "",
		"refs/damaged":       "gone\n",
		"refs/" + "dangling": refText(castest.BlobOf([]byte("never stored"))),
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(store.Path(writable.Digest), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRef(t.Context(), name, sound); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	err = store.Verify(t.Context(), func(blob cas.Blob, err error) error {
		for kind, sentinel := range map[string]error{"digest": cas.ErrDigestMismatch, "foreign": ErrForeign,
			"writable": ErrWritable, "ref": ErrDamagedRef, "dangling": cas.ErrNotFound} {
			if errors.Is(err, sentinel) {
				found[kind]++
				if !strings.Contains(err.Error(), root) {
					t.Errorf("%v does not name the file", err)
				}
			}
		}
		if (blob == rotten) != errors.Is(err, cas.ErrDigestMismatch) || (blob == writable) != errors.Is(err, ErrWritable) {
			t.Errorf("%v: %v", blob, err)
		}
		if blob == sound && err != nil {
			t.Errorf("the sound blob: %v", err)
		}
		return nil
	})
	want := map[string]int{"digest": 1, "foreign": 3, "writable": 1, "ref": 1, "dangling": 1}
	if diff := cmp.Diff(want, found); diff != "" || err != nil {
		t.Errorf("findings: %v (-want +got):\n%s", err, diff)
	}
	enough := errors.New("enough")
	if err := store.Verify(t.Context(), func(cas.Blob, error) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Verify went on after an error: %v", err)
	}
}

// overwrite changes a file's content behind the store's back and leaves its size and mode.
func overwrite(t *testing.T, path, text string) {
	t.Helper()
	err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o444))
	if err != nil {
		t.Fatal(err)
	}
}

func TestRefs(t *testing.T) {
	root := t.TempDir()
	store := reopen(t, root)
	first, second := put(t, store, []byte("1")), put(t, store, []byte("2"))
	var names []cas.RefName
	for _, text := range []string{"b", "a", "shot_010@v2", "B", "a.b"} {
		name, err := cas.ParseRefName(text)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		if _, err := store.GetRef(t.Context(), name); !errors.Is(err, cas.ErrRefNotFound) {
			t.Errorf("get of an absent ref: %v, want ErrRefNotFound", err)
		}
		if err := store.PutRef(t.Context(), name, first); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.PutRef(t.Context(), names[0], second); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRef(t.Context(), names[1], castest.BlobOf([]byte("3"))); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("a ref to an absent blob: %v, want ErrNotFound", err)
	}
	if err := store.PutRef(t.Context(), cas.RefName{}, first); !errors.Is(err, cas.ErrBadRefName) {
		t.Errorf("put of the zero name: %v, want ErrBadRefName", err)
	}
	if _, err := store.GetRef(t.Context(), cas.RefName{}); !errors.Is(err, cas.ErrBadRefName) {
		t.Errorf("get of the zero name: %v, want ErrBadRefName", err)
	}
	view, err := OpenReadOnly(root)
	if err != nil {
		t.Fatal(err)
	}
	defer closeView(t, view)
	listed := func(after cas.RefName) (all []string) {
		err := view.ListRefs(t.Context(), after, func(name cas.RefName, blob cas.Blob) error {
			if want := map[bool]cas.Blob{true: second, false: first}[name == names[0]]; blob != want {
				t.Errorf("ref %v stands for %v, want %v", name, blob, want)
			}
			all = append(all, name.String())
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return all
	}
	if diff := cmp.Diff([]string{"B", "a", "a.b", "b", "shot_010@v2"}, listed(cas.RefName{})); diff != "" {
		t.Errorf("all refs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a.b", "b", "shot_010@v2"}, listed(names[1])); diff != "" {
		t.Errorf("refs after %v (-want +got):\n%s", names[1], diff)
	}
	wantNothingIncoming(t, root)
}

func TestParseRef(t *testing.T) {
	hex := cas.SumBytes(nil).String()
	if blob, err := parseRef([]byte(hex + " 9223372036854775807\n")); err != nil || blob.Size != 1<<63-1 {
		t.Errorf("the biggest size: %v, %v", blob, err)
	}
	for _, text := range []string{"", "\n", hex, hex + "\n", hex + " 1", hex + " 01\n", hex + " -1\n", hex + " +1\n", hex + " 1\n\n",
		hex + "  1\n", hex + " 9223372036854775808\n", strings.ToUpper(hex) + " 0\n"} {
		if blob, err := parseRef([]byte(text)); !errors.Is(err, ErrDamagedRef) {
			t.Errorf("parseRef(%q) = %v, %v; want ErrDamagedRef", text, blob, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add([]byte(refText(castest.BlobOf([]byte("hay")))))
	f.Add([]byte("x 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		blob, err := parseRef(text)
		switch {
		case err == nil && refText(blob) != string(text):
			t.Errorf("%q was read as %v", text, blob)
		case err == nil && len(text) > maxRefText:
			t.Errorf("%d bytes were taken, and at most %d are read", len(text), maxRefText)
		case err != nil && !errors.Is(err, ErrDamagedRef):
			t.Errorf("%q: error %v is not ErrDamagedRef", text, err)
		}
	})
}

func FuzzParseFormat(f *testing.F) {
	f.Add([]byte(stamp()))
	f.Add([]byte("hayloft-blobs 3\nmore\n"))
	f.Add([]byte("hayloft-blobs 1\n"))
	f.Add([]byte("hayloft-blobs 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		version, err := parseFormat(text)
		switch {
		case err == nil && string(text) != fmt.Sprintf("%s%d\n", formatPrefix, version):
			t.Errorf("%q was taken for format %d", text, version)
		case errors.Is(err, cas.ErrNewerFormat) && version <= formatVersion:
			t.Errorf("%q was taken for the newer format %d", text, version)
		case err != nil && !errors.Is(err, cas.ErrNewerFormat) && !errors.Is(err, errDamagedFormat):
			t.Errorf("%q: %v", text, err)
		}
	})
}

// TestBodyOfOneWriterTakesBoundedMemory: a big upload costs a few buffers, however long it is.
func TestBodyOfOneWriterTakesBoundedMemory(t *testing.T) {
	store := openNew(t)
	body := castest.Content(1, 16<<20)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := store.Create(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*readAhead*bufferSize {
		t.Errorf("%d bytes were allocated for a body of %d", used, len(body))
	}
	if err := w.Commit(t.Context(), castest.BlobOf(body)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(body, mustRead(t, store, cas.SumBytes(body))) {
		t.Error("other bytes came back")
	}
}

func mustRead(t *testing.T, store cas.Opener, digest cas.Digest) []byte {
	t.Helper()
	r, err := store.Open(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	content, readErr := io.ReadAll(r)
	if err := errors.Join(readErr, r.Close()); err != nil {
		t.Fatal(err)
	}
	return content
}

func closeView(t testing.TB, view *View) {
	t.Helper()
	if err := view.Close(); err != nil {
		t.Error(err)
	}
}
