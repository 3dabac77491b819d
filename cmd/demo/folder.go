package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// markerName is the file by which the demo recognises a folder as its own.
const markerName = "THIS-FOLDER-BELONGS-TO-HAYLOFT-DEMO"

// folder is the one place where the demo writes. Its lock is held until close, so two demos never share it.
type folder struct {
	root string
	lock *os.File
}

func (f *folder) project() string { return filepath.Join(f.root, "project") }
func (f *folder) scene() string   { return filepath.Join(f.root, "project", "scene.blend") }
func (f *folder) data() string    { return filepath.Join(f.root, "farm") }
func (f *folder) farmLog() string { return filepath.Join(f.root, "farm.log") }
func (f *folder) frames() string  { return filepath.Join(f.root, "frames") }
func (f *folder) alone() string   { return filepath.Join(f.root, "blender-alone") }
func (f *folder) sheet() string   { return filepath.Join(f.root, "contact-sheet.png") }

// openFolder makes root empty and ready for a run. A folder that has content but no marker is somebody else's: it is
// refused and nothing in it is touched.
func openFolder(root string) (*folder, error) {
	marker := filepath.Join(root, markerName)
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking into the demo's folder: %w", err)
	}
	if _, err := os.Lstat(marker); err != nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s has content that the demo did not make, so it was left alone: "+
			"move it away or name another folder with -dir", root)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	lock, err := os.OpenFile(marker, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("marking the demo's folder: %w", err)
	}
	f := &folder{root: root, lock: lock}
	if err := lockFile(lock); err != nil {
		f.close()
		return nil, fmt.Errorf("another demo is at work in %s: end it first, or name another folder with -dir", root)
	}
	if err := f.clear(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// clear removes what an earlier run left. The marker goes last of all, with the folder itself, and never here.
func (f *folder) clear() error {
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return fmt.Errorf("clearing the demo's folder: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == markerName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(f.root, entry.Name())); err != nil {
			return fmt.Errorf("clearing the demo's folder: %w", err)
		}
	}
	return nil
}

// close releases the folder; its content stays for the user to look at.
func (f *folder) close() { f.lock.Close() }
