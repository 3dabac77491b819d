package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hayloft/cas/index"
	"hayloft/cas/pack"
)

// errCrashed is what every step after a crash returns: the process is dead, and nothing it asks for happens any more.
var errCrashed = errors.New("crashed")

// faultyVolume is the operating system's file system with a fault at one step. It keeps account of what is not durable
// yet, so that a power cut can take it away.
type faultyVolume struct {
	osVolume
	// at is the number of the step that has the fault, from 1; 0 for none.
	at int
	// onFault is what the step does in place of its work. It returns the step's error.
	onFault func(*faultyVolume) error

	mu      sync.Mutex
	steps   []string // that were asked for
	crashed bool
	unsaved map[string]bool // temporary files with content that is not durable
	undo    []undo          // names that are not durable, oldest first
	saved   string          // a folder outside the store, for files that a replace took away; empty: no power cut comes
}

// unsyncedVolume is for looking at what a crash left: no power cut comes after that, and syncs would only take time.
type unsyncedVolume struct{ osVolume }

func (unsyncedVolume) syncDir(string) error { return nil }

// boot is another one than that of a faultyVolume: the store takes whole files that are not synced for suspects.
func (unsyncedVolume) boot() string { return "after" }

func (*faultyVolume) boot() string { return "before" }

// undo takes a change of names back.
type undo struct {
	dir  string // whose sync makes the change durable
	back func() error
}

func newFaultyVolume(t testing.TB, at int, onFault func(*faultyVolume) error) *faultyVolume {
	return &faultyVolume{at: at, onFault: onFault, unsaved: make(map[string]bool), saved: t.TempDir()}
}

// crash is an onFault: this step and all later ones do nothing.
func crash(v *faultyVolume) error {
	v.crashed = true
	return errCrashed
}

// step counts a step and tells whether it is to be done.
func (v *faultyVolume) step(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.crashed {
		return errCrashed
	}
	v.steps = append(v.steps, name)
	if len(v.steps) == v.at {
		return v.onFault(v)
	}
	return nil
}

func (v *faultyVolume) createTemp(dir string) (tempFile, error) {
	if err := v.step("create"); err != nil {
		return nil, err
	}
	temp, err := v.osVolume.createTemp(dir)
	if err != nil {
		return nil, err
	}
	return &faultyTemp{tempFile: temp, volume: v}, nil
}

func (v *faultyVolume) openPart(path string, size, reserve int64) (partFile, error) {
	if err := v.step("open part"); err != nil {
		return nil, err
	}
	part, err := v.osVolume.openPart(path, size, reserve)
	if err != nil {
		return nil, err
	}
	return &faultyPart{faultyTemp{tempFile: part, volume: v}, part}, nil
}

func (v *faultyVolume) publish(temp, path string) error {
	if err := v.step("publish"); err != nil {
		return err
	}
	if err := v.osVolume.publish(temp, path); err != nil {
		return err
	}
	v.renamed(temp, path, "")
	return nil
}

func (v *faultyVolume) replace(temp, path string) error {
	if err := v.step("replace"); err != nil {
		return err
	}
	saved := ""
	if v.saved != "" {
		saved = filepath.Join(v.saved, rand.Text())
		if err := os.Link(path, saved); errors.Is(err, fs.ErrNotExist) {
			saved = ""
		} else if err != nil {
			return err
		}
	}
	if err := v.osVolume.replace(temp, path); err != nil {
		return err
	}
	v.renamed(temp, path, saved)
	return nil
}

func (v *faultyVolume) renamed(temp, path, saved string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unsaved[path] = v.unsaved[temp]
	delete(v.unsaved, temp)
	v.undo = append(v.undo, undo{dir: filepath.Dir(path), back: func() error {
		if err := os.Rename(path, temp); err != nil || saved == "" {
			return err
		}
		return os.Rename(saved, path)
	}})
}

func (v *faultyVolume) remove(path string) error {
	if err := v.step("remove"); err != nil {
		return err
	}
	v.mu.Lock()
	delete(v.unsaved, path)
	v.mu.Unlock()
	return v.osVolume.remove(path)
}

func (v *faultyVolume) syncDir(dir string) error {
	if err := v.step("sync folder"); err != nil {
		return err
	}
	if err := v.osVolume.syncDir(dir); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var rest []undo
	for _, u := range v.undo {
		if u.dir != dir {
			rest = append(rest, u)
		}
	}
	v.undo = rest
	return nil
}

// powerCut takes from the disk all that was never made durable: content of files, and, where names are lost too, names.
// A real one may leave any part of it; the two ends are the cases in which something can go wrong.
func (v *faultyVolume) powerCut(t *testing.T, loseNames bool) {
	t.Helper()
	for path, unsaved := range v.unsaved {
		if !unsaved {
			continue
		}
		err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 0))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if !loseNames {
		return
	}
	for i := len(v.undo) - 1; i >= 0; i-- {
		if err := v.undo[i].back(); err != nil && !errors.Is(err, fs.ErrNotExist) { // it was removed since
			t.Fatal(err)
		}
	}
}

type faultyTemp struct {
	tempFile
	volume *faultyVolume
}

// Write does half its work before its fault.
func (f *faultyTemp) Write(p []byte) (int, error) {
	f.volume.mu.Lock()
	f.volume.unsaved[f.Name()] = true
	f.volume.mu.Unlock()
	if err := f.volume.step("write"); err != nil {
		n, writeErr := f.tempFile.Write(p[:len(p)/2])
		return n, errors.Join(err, writeErr)
	}
	return f.tempFile.Write(p)
}

func (f *faultyTemp) reserve(size int64) error {
	if err := f.volume.step("reserve"); err != nil {
		return err
	}
	return f.tempFile.reserve(size)
}

func (f *faultyTemp) seal(size int64, mode fs.FileMode) error {
	if err := f.volume.step("seal"); err != nil {
		return err
	}
	if err := f.tempFile.seal(size, mode); err != nil {
		return err
	}
	f.volume.mu.Lock()
	f.volume.unsaved[f.Name()] = false
	f.volume.mu.Unlock()
	return nil
}

func (f *faultyTemp) finish(mode fs.FileMode, modified time.Time) error {
	if err := f.volume.step("finish"); err != nil {
		return err
	}
	return f.tempFile.finish(mode, modified)
}

// faultyPart is a file that is written in any order.
type faultyPart struct {
	faultyTemp
	part partFile
}

// WriteAt does half its work before its fault.
func (f *faultyPart) WriteAt(p []byte, offset int64) (int, error) {
	f.volume.mu.Lock()
	f.volume.unsaved[f.Name()] = true
	f.volume.mu.Unlock()
	if err := f.volume.step("write part"); err != nil {
		n, writeErr := f.part.WriteAt(p[:len(p)/2], offset)
		return n, errors.Join(err, writeErr)
	}
	return f.part.WriteAt(p, offset)
}

func (f *faultyPart) startWriteback(int64, int64) {}

func (f *faultyPart) share(from *os.File, offset, length, to int64) error {
	return f.part.share(from, offset, length, to)
}

// faultyPacks has a fault before frames are appended, or before the index is told of them.
type faultyPacks struct {
	appender
	volume *faultyVolume
}

func (f *faultyPacks) Append(ctx context.Context, frames [][]byte) ([]pack.Place, error) {
	if err := f.volume.step("append to pack"); err != nil {
		return nil, err
	}
	return f.appender.Append(ctx, frames)
}

type faultyIndex struct {
	recorder
	volume *faultyVolume
}

func (f *faultyIndex) Add(ctx context.Context, additions []index.Addition) error {
	if err := f.volume.step("add to index"); err != nil {
		return err
	}
	return f.recorder.Add(ctx, additions)
}

// openFaulty opens a store whose packs and index take part in the faults of the volume.
func openFaulty(volume *faultyVolume, root string) (*Store, error) {
	store, err := openOn(volume, root)
	if err != nil {
		return nil, err
	}
	store.packer.packs = &faultyPacks{store.packer.packs, volume}
	store.packer.index = &faultyIndex{store.packer.index, volume}
	return store, nil
}
