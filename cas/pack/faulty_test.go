package pack

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// errCrashed is what every step after a crash returns: the process is dead, and nothing it asks for happens any more.
var errCrashed = errors.New("crashed")

// faultyVolume is the operating system's file system with a fault at one step. It keeps account of what is durable, so
// that a power cut can take the rest away.
type faultyVolume struct {
	osVolume
	// at is the number of the step that has the fault, from 1; 0 for none.
	at int
	// onFault is what the step does in place of its work. It returns the step's error.
	onFault func(*faultyVolume) error

	mu      sync.Mutex
	steps   []string // that were asked for
	crashed bool
	durable map[string][]byte // content of files, by path, as of the last sync
	named   map[string]bool   // whose names are durable
}

func newFaultyVolume(at int, onFault func(*faultyVolume) error) *faultyVolume {
	return &faultyVolume{at: at, onFault: onFault, durable: make(map[string][]byte), named: make(map[string]bool)}
}

// crash is an onFault: this step and all later ones do nothing.
func crash(v *faultyVolume) error {
	v.crashed = true
	return errCrashed
}

func fails(with error) func(*faultyVolume) error { return func(*faultyVolume) error { return with } }

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

func (v *faultyVolume) count(name string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, step := range v.steps {
		if step == name {
			n++
		}
	}
	return n
}

func (v *faultyVolume) create(path string) (packFile, error) {
	if err := v.step("create"); err != nil {
		return nil, err
	}
	file, err := v.osVolume.create(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{packFile: file, path: path, volume: v}, nil
}

func (v *faultyVolume) open(path string) (packFile, error) {
	if err := v.step("open"); err != nil {
		return nil, err
	}
	file, err := v.osVolume.open(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{packFile: file, path: path, volume: v}, nil
}

func (v *faultyVolume) remove(path string) error {
	if err := v.step("remove"); err != nil {
		return err
	}
	return v.osVolume.remove(path)
}

func (v *faultyVolume) syncDir(dir string) error {
	if err := v.step("sync folder"); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, entry := range entries {
		v.named[filepath.Join(dir, entry.Name())] = true
	}
	return nil
}

// unsyncedVolume is for tests after which no power cut comes: syncs would only take time.
type unsyncedVolume struct{ osVolume }

func (unsyncedVolume) syncDir(string) error { return nil }

func (v unsyncedVolume) create(path string) (packFile, error) {
	file, err := v.osVolume.create(path)
	return unsyncedFile{file}, err
}

func (v unsyncedVolume) open(path string) (packFile, error) {
	file, err := v.osVolume.open(path)
	return unsyncedFile{file}, err
}

type unsyncedFile struct{ packFile }

func (unsyncedFile) Sync() error { return nil }

// faultyFile is a pack on a faultyVolume. A write that fails does half its work before.
type faultyFile struct {
	packFile
	path   string
	volume *faultyVolume
}

func (f *faultyFile) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.volume.step("write"); err != nil {
		n, writeErr := f.packFile.WriteAt(p[:len(p)/2], offset)
		return n, errors.Join(err, writeErr)
	}
	return f.packFile.WriteAt(p, offset)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.volume.step("truncate"); err != nil {
		return err
	}
	return f.packFile.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.volume.step("sync"); err != nil {
		return err
	}
	content, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	f.volume.mu.Lock()
	defer f.volume.mu.Unlock()
	f.volume.durable[f.path] = content
	return nil
}

// loss is what a power cut makes of the content of a file that was written since its last sync.
type loss func(durable, current []byte) []byte

var losses = map[string]loss{
	"none": func(_, current []byte) []byte { return current },
	"all":  func(durable, _ []byte) []byte { return durable },
	"half": func(durable, current []byte) []byte {
		return current[:(len(durable)+max(len(current), len(durable)))/2]
	},
	"zeros":     func(durable, current []byte) []byte { return zeroed(durable, current, len(durable), len(current)) },
	"the start": func(durable, current []byte) []byte { return zeroed(durable, current, len(durable), len(durable)+40) },
}

// zeroed is the current content with zeros from a place on to another, as a file system leaves blocks that it has set
// aside and not written.
func zeroed(durable, current []byte, from, to int) []byte {
	if len(current) <= len(durable) {
		return current
	}
	for i := from; i < min(to, len(current)); i++ {
		current[i] = 0
	}
	return current
}

// cutPower leaves in the directory what a power cut leaves: of what was not synced, what the loss says; and of names that
// were not synced, all or none.
func (v *faultyVolume) cutPower(t *testing.T, dir string, lose loss, keepNames bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !v.named[path] && !keepNames {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		current, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, lose(v.durable[path], current), packMode); err != nil {
			t.Fatal(err)
		}
	}
}
