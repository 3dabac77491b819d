package checkout

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// partPrefix starts the name of a large file that an interrupted run has not finished. It lies at the top of the
// directory. Its name says what it is to become; what it holds already is found out by hashing.
const partPrefix = StagePrefix + "part-"

func partName(j *job) string {
	name := partPrefix + j.blob.Digest.String()
	if j.places[0].entry.Mode == Executable {
		name += "-x"
	}
	return name
}

// takePart gives the file in the stage that is to become the first place of j: the one that an interrupted run has left,
// or a new one. A rename takes it, so that of two runs at the same time only one does.
func (l *layer) takePart(j *job) (file *os.File, name string, resumed bool, err error) {
	name = l.newName()
	if info, err := l.top.Lstat(partName(j)); err == nil && info.Mode().IsRegular() {
		if err := l.top.Rename(partName(j), l.stageName+"/"+name); err == nil {
			file, err = l.stage.OpenFile(name, os.O_RDWR, 0)
			return file, name, true, err
		}
	}
	file, name, err = l.create(j.places[0].entry.Mode)
	return file, name, false, err
}

// keepPart leaves an unfinished file for the next run.
func (l *layer) keepPart(name string, j *job) error {
	err := renameNoReplace(l.top, l.stageName+"/"+name, partName(j))
	if errors.Is(err, fs.ErrExist) {
		return nil // another run was quicker, and one is enough
	}
	return err
}

// dropParts removes what interrupted runs have left and a finished one has no use for.
func (l *layer) dropParts() error {
	entries, err := fs.ReadDir(l.top.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), partPrefix) || !e.Type().IsRegular() {
			continue
		}
		if err := l.top.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
