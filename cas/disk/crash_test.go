package disk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hayloft/cas"
	"hayloft/cas/castest"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// work is what the crash tests interrupt: each step of the crash order occurs in it at least once.
type work struct {
	first, second []byte // a small one and a big one, uploaded
	third, fourth []byte // one that is ingested, and a later version of it that is assembled
	recipe        chunk.Recipe
	frames        []pack.Frame // every chunk of the fourth
	ref           cas.RefName
}

func newWork(t testing.TB) work {
	t.Helper()
	w, err := makeWork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func makeWork(ctx context.Context) (w work, err error) {
	w.first, w.second = castest.Content(1, 5000), castest.Content(2, reserveFrom+bufferSize+1)
	w.third = castest.Content(3, FrameSize+1)
	w.fourth = append(castest.Content(4, 100_000), w.third...)
	if w.recipe, w.frames, err = cutUp(ctx, w.fourth); err != nil {
		return w, err
	}
	w.ref, err = cas.ParseRefName("shot_010")
	return w, err
}

// cutUp gives the recipe of the content, and its chunks, a frame each.
func cutUp(ctx context.Context, content []byte) (chunk.Recipe, []pack.Frame, error) {
	var frames []pack.Frame
	recipe, err := chunk.Split(ctx, bytes.NewReader(content), int64(len(content)), func(p chunk.Piece) error {
		items := []pack.Item{{ID: p.ID.Bytes(), Length: p.Length}}
		frames = append(frames, pack.Frame{Kind: pack.ChunkKind, Items: items, Data: bytes.Clone(p.Data)})
		return nil
	})
	return recipe, frames, err
}

func (w work) contents() map[string][]byte {
	return map[string][]byte{"first": w.first, "second": w.second, "third": w.third, "fourth": w.fourth}
}

// do runs the work and tells acknowledge of every part that the store said was done. After an error it goes on, as a
// server would.
func (w work) do(ctx context.Context, store *Store, acknowledge func(string)) error {
	var failed error
	part := func(name string, err error) {
		if err == nil {
			acknowledge(name)
		}
		failed = errors.Join(failed, err)
	}
	_, err := castest.Put(ctx, store, w.first)
	part("first", err)
	part("second", w.copyIn(ctx, store))
	_, err = castest.Put(ctx, store, w.first)
	part("first", err)
	part("ref to first", store.PutRef(ctx, w.ref, castest.BlobOf(w.first)))
	part("ref to second", store.PutRef(ctx, w.ref, castest.BlobOf(w.second)))
	_, err = store.Ingest(ctx, bytes.NewReader(w.third), int64(len(w.third)))
	part("third", err)
	part("fourth", w.assemble(ctx, store))
	_, err = store.Shape(ctx, []cas.Blob{castest.BlobOf(w.first)})
	part("shape", err)
	giveUp, err := store.Create(ctx, reserveFrom)
	if err == nil {
		giveUp.Abort()
	}
	part("give up", err)
	return failed
}

// assemble puts the fourth blob together from what lacks and what the third one has.
func (w work) assemble(ctx context.Context, store *Store) error {
	a, err := store.Assemble(ctx, w.recipe)
	if err != nil {
		return err
	}
	lacking := a.Lacking()
	for i, frame := range w.frames {
		if lacking[i] {
			err = errors.Join(err, a.Put(ctx, frame))
		}
	}
	if err != nil {
		return errors.Join(err, a.Close())
	}
	err = a.Commit(ctx)
	return errors.Join(err, a.Close())
}

// copyIn stores the second blob in the way of a big upload: announced, and through ReadFrom.
func (w work) copyIn(ctx context.Context, store *Store) error {
	blob := castest.BlobOf(w.second)
	to, err := store.Create(ctx, blob.Size+1)
	if err != nil {
		return err
	}
	defer to.Abort()
	if _, err := io.Copy(to, struct{ io.Reader }{bytes.NewReader(w.second)}); err != nil {
		return err
	}
	return to.Commit(ctx, blob)
}

// check opens what was left behind and compares it with what was promised.
func (w work) check(t *testing.T, root string, acknowledged map[string]bool) {
	t.Helper()
	store := openUnsynced(t, root)
	defer die(store)
	wantNothingIncoming(t, root)
	wantSound(t, store)
	for name, content := range w.contents() {
		if acknowledged[name] && !isHeld(t, store, castest.BlobOf(content)) {
			t.Errorf("the %s blob was acknowledged and is gone", name)
		}
	}
	allowed := map[cas.Blob]bool{castest.BlobOf(w.second): true}
	if !acknowledged["ref to second"] {
		allowed[castest.BlobOf(w.first)] = true
	}
	got, err := store.GetRef(t.Context(), w.ref)
	switch {
	case errors.Is(err, cas.ErrRefNotFound):
		if acknowledged["ref to first"] || acknowledged["ref to second"] {
			t.Error("the ref was acknowledged and is gone")
		}
	case err != nil:
		t.Error(err)
	case !allowed[got]:
		t.Errorf("the ref stands for %v", got)
	}
	if acknowledged["third"] {
		wantRecipe(t, store, w.third)
	}
	if err := w.do(t.Context(), store, func(string) {}); err != nil {
		t.Errorf("the same work again: %v", err)
	}
	if shape, err := os.ReadFile(store.Path(cas.SumBytes(w.first))); err != nil || !bytes.Equal(shape, w.first) {
		t.Errorf("the whole file of the first blob has %d bytes, which are other ones; %v", len(shape), err)
	}
	if left, err := store.Assemblies(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("%v are still being assembled; %v", left, err)
	}
	wantRecipe(t, store, w.fourth)
	wantNothingIncoming(t, root)
	wantSound(t, store)
}

func wantRecipe(t *testing.T, store *Store, content []byte) {
	t.Helper()
	recipe, err := store.Recipe(t.Context(), cas.SumBytes(content))
	if err != nil || recipe.Blob() != castest.BlobOf(content) {
		t.Errorf("the recipe of %v makes %v; %v", castest.BlobOf(content), recipe.Blob(), err)
	}
}

// startOver leaves an empty store that was closed in order. Making a new one each time would take most of a test's time.
func (w work) startOver(t *testing.T, root string) {
	t.Helper()
	store := openUnsynced(t, root)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	paths := []string{store.layout.ref(w.ref)}
	for _, content := range w.contents() {
		paths = append(paths, store.Path(cas.SumBytes(content)))
	}
	for _, pattern := range []string{packsName + "/*", assembleName + "/*", indexName + "*"} {
		found, err := filepath.Glob(store.layout.join(pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func isHeld(t *testing.T, store cas.Stater, blob cas.Blob) (held bool) {
	t.Helper()
	err := store.Stat(t.Context(), []cas.Blob{blob}, func(cas.Blob) error { held = true; return nil })
	if err != nil {
		t.Error(err)
	}
	return held
}

func wantNothingIncoming(t *testing.T, root string) {
	t.Helper()
	entries, err := os.ReadDir(layout(root).join(incomingName))
	if err != nil {
		t.Error(err)
	}
	for _, entry := range entries {
		t.Errorf("%s is left in %s", entry.Name(), incomingName)
	}
}

func wantSound(t *testing.T, store *Store) {
	t.Helper()
	err := store.Verify(t.Context(), func(blob cas.Blob, err error) error {
		if err != nil {
			t.Errorf("verify %v: %v", blob, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCrashAtEveryStep stops the store before each step in turn, and half way through writes; then it looks at the
// directory as a killed process leaves it, and as a power cut leaves it that takes contents, or contents and names.
func TestCrashAtEveryStep(t *testing.T) {
	w := newWork(t)
	for _, after := range []string{"kill", "power cut", "power cut, names lost"} {
		t.Run(after, func(t *testing.T) {
			root := t.TempDir()
			for at := 1; crashAt(t, w, root, at, after); at += stepsApart {
				if at > 1000 {
					t.Fatal("the work never ends")
				}
			}
		})
	}
}

// crashAt reports whether the work has a step of that number.
func crashAt(t *testing.T, w work, root string, at int, after string) bool {
	w.startOver(t, root)
	volume := newFaultyVolume(t, 0, crash)
	store, err := openFaulty(volume, root)
	if err != nil {
		t.Fatal(err)
	}
	volume.at = len(volume.steps) + at
	acknowledged := make(map[string]bool)
	failed := w.do(t.Context(), store, func(part string) { acknowledged[part] = true })
	step := "the end"
	if volume.crashed {
		step = volume.steps[len(volume.steps)-1]
	}
	if volume.crashed && failed == nil && step != "remove" { // Abort has nobody to tell
		t.Errorf("a crash at step %d, %s, went unnoticed", at, step)
	}
	switch after {
	case "power cut":
		volume.powerCut(t, false)
	case "power cut, names lost":
		volume.powerCut(t, true)
	}
	die(store)
	t.Run(fmt.Sprintf("%d %s", at, step), func(t *testing.T) { w.check(t, root, acknowledged) })
	return volume.crashed
}

// die lets go of the lock and does nothing else, as the kernel does for a process that was killed.
func die(store *Store) {
	if err := errors.Join(store.shelf.close(), store.lock.Close()); err != nil {
		panic(err)
	}
}

func openUnsynced(t *testing.T, root string) *Store {
	t.Helper()
	store, err := openOn(unsyncedVolume{}, root)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func reopenAndClose(t *testing.T, root string) {
	t.Helper()
	store, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCrashWhileOpening stops the making of a store, and the clearing of one, before each step.
func TestCrashWhileOpening(t *testing.T) {
	w := newWork(t)
	for _, state := range []string{"new", "left by a crash"} {
		t.Run(state, func(t *testing.T) {
			// Most of the steps are the same one for each of the 256 folders.
			root := t.TempDir()
			for at, crashed := 1, true; crashed; at += 1 + at/8 {
				if state == "new" {
					root = t.TempDir()
				} else {
					leaveRubbish(t, root)
				}
				volume := newFaultyVolume(t, at, crash)
				store, err := openOn(volume, root)
				crashed = volume.crashed
				if crashed != errors.Is(err, errCrashed) {
					t.Fatalf("step %d: crashed is %v, and Open returned %v", at, crashed, err)
				}
				if err == nil {
					die(store)
				}
				volume.powerCut(t, true)
				w.check(t, root, nil)
			}
		})
	}
}

func leaveRubbish(t *testing.T, root string) {
	t.Helper()
	die(openUnsynced(t, root))
	for _, name := range []string{"1" + tempSuffix, "2" + tempSuffix} {
		path := layout(root).join(incomingName) + "/" + name
		if err := os.WriteFile(path, []byte("half a bl"), 0o444); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFaultAtEveryStep makes each step in turn fail once, in a process that lives on: what fails is reported, nothing
// of it stays, and the same again succeeds.
func TestFaultAtEveryStep(t *testing.T) {
	w := newWork(t)
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(fault.Error(), func(t *testing.T) {
			root := t.TempDir()
			for at := 1; ; at += stepsApart {
				w.startOver(t, root)
				volume := newFaultyVolume(t, 0, func(*faultyVolume) error { return fault })
				store, err := openFaulty(volume, root)
				if err != nil {
					t.Fatal(err)
				}
				volume.at = len(volume.steps) + at
				acknowledged := make(map[string]bool)
				failed := w.do(t.Context(), store, func(part string) { acknowledged[part] = true })
				if len(volume.steps) < volume.at {
					checkFault(t, store, root, "", nil)
					return
				}
				t.Run(volume.steps[volume.at-1], func(t *testing.T) {
					checkFault(t, store, root, volume.steps[volume.at-1], failed)
					w.check(t, root, acknowledged)
				})
			}
		})
	}
}

func checkFault(t *testing.T, store *Store, root, step string, failed error) {
	t.Helper()
	if step != "" && step != "remove" && failed == nil {
		t.Errorf("the fault in %q went unnoticed", step)
	}
	if errors.Is(failed, syscall.ENOSPC) && !errors.Is(failed, cas.ErrNoSpace) {
		t.Errorf("a full disk in %q is reported as %v", step, failed)
	}
	if step != "remove" {
		wantNothingIncoming(t, root)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// TestWhatIsToldSurvives kills the process between a rename and its sync. The next process finds the blob and tells of
// it; then the power goes, and what was told must still be true.
func TestWhatIsToldSurvives(t *testing.T) {
	root := t.TempDir()
	reopenAndClose(t, root)
	volume := newFaultyVolume(t, 0, crash)
	store, err := openOn(volume, root)
	if err != nil {
		t.Fatal(err)
	}
	volume.at = len(volume.steps) + 5 // create, write, seal, publish, sync folder
	content := large("seen too early")
	if _, err := castest.Put(t.Context(), store, content); !errors.Is(err, errCrashed) {
		t.Fatalf("put: %v", err)
	}
	if last := volume.steps[len(volume.steps)-1]; last != "sync folder" || len(volume.undo) == 0 {
		t.Fatalf("crashed in %q with %d names not durable", last, len(volume.undo))
	}
	die(store)

	volume.crashed, volume.at = false, 0
	next, err := openOn(volume, root)
	if err != nil {
		t.Fatal(err)
	}
	if !isHeld(t, next, castest.BlobOf(content)) {
		t.Fatal("the blob was visible before the crash and is not after it")
	}
	volume.powerCut(t, true)
	die(next)
	if !isHeld(t, reopen(t, root), castest.BlobOf(content)) {
		t.Error("the store told of a blob, and a power cut took it")
	}
}

// TestOrderlyEndSavesTheSyncs: only a store that was not closed has its 256 folders synced.
func TestOrderlyEndSavesTheSyncs(t *testing.T) {
	root := t.TempDir()
	first, err := openOn(newFaultyVolume(t, 0, crash), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	syncs := func() int {
		volume := newFaultyVolume(t, 0, crash)
		store, err := openOn(volume, root)
		if err != nil {
			t.Fatal(err)
		}
		die(store)
		return len(volume.steps)
	}
	if got := syncs(); got > 1 {
		t.Errorf("opening after an orderly end took %d steps", got)
	}
	if got := syncs(); got < fanOuts {
		t.Errorf("opening after a crash took %d steps, fewer than there are folders", got)
	}
}

const (
	victimRoot = "HAYLOFT_TEST_VICTIM_ROOT"
	victimStep = "HAYLOFT_TEST_VICTIM_STEP"
)

// TestMain is also the entry of the process that TestKilledAtEveryStep kills.
func TestMain(m *testing.M) {
	if root := os.Getenv(victimRoot); root != "" {
		os.Exit(victim(root))
	}
	os.Exit(checkLeaks(m))
}

// victim does the work in a store, says on standard output what was acknowledged, and kills itself before the step that
// was asked for.
func victim(root string) int {
	at, err := strconv.Atoi(os.Getenv(victimStep))
	if err != nil {
		panic(err)
	}
	w, err := makeWork(context.Background())
	if err != nil {
		panic(err)
	}
	volume := &faultyVolume{at: at, onFault: kill, unsaved: make(map[string]bool)}
	store, err := openFaulty(volume, root)
	if err != nil {
		panic(err)
	}
	if err := w.do(context.Background(), store, func(part string) { fmt.Println(part) }); err != nil {
		panic(err)
	}
	return 0
}

// kill ends the process as kill -9 does: nothing deferred runs, nothing is flushed.
func kill(*faultyVolume) error {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// TestKilledAtEveryStep is the crash test with a real process, a real kill and a real lock.
func TestKilledAtEveryStep(t *testing.T) {
	w := newWork(t)
	root := t.TempDir()
	for at := 1; ; at += stepsApart {
		w.startOver(t, root)
		acknowledged, killed := runVictim(t, root, at)
		w.check(t, root, acknowledged)
		if !killed {
			if !acknowledged["ref to second"] || at < 10 {
				t.Errorf("the victim ended after %d steps, with %v acknowledged", at-1, acknowledged)
			}
			return
		}
	}
}

func runVictim(t *testing.T, root string, at int) (acknowledged map[string]bool, killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimRoot+"="+root, victimStep+"="+strconv.Itoa(at))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		t.Fatalf("victim at step %d: %v\n%s", at, err, stderr.String())
	}
	acknowledged = make(map[string]bool)
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		acknowledged[lines.Text()] = true
	}
	return acknowledged, err != nil
}
