//go:build unix

package checkout

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// renameReserved renames below root without help for the case that the new name is taken. Making an empty directory or
// file reserves the name, since only one can do that; POSIX then lets a directory replace an empty one but no other. A
// crash in between leaves what was empty.
func renameReserved(root *os.Root, from, to string) error {
	info, err := root.Lstat(from)
	if err != nil {
		return err
	}
	if err := reserve(root, to, info.IsDir()); err != nil {
		return err
	}
	err = renameAt(root, from, to, unix.Renameat)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	}
	if err != nil {
		return errors.Join(err, root.Remove(to))
	}
	return nil
}

func reserve(root *os.Root, path string, directory bool) error {
	if directory {
		return root.Mkdir(path, dirMode)
	}
	f, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	return f.Close()
}

// renameAt calls rename with the open parents of from and to, so that no link on the way leads out of root.
func renameAt(root *os.Root, from, to string, rename func(fromDir int, fromBase string, toDir int, toBase string) error) error {
	fromDir, err := root.Open(path.Dir(from))
	if err != nil {
		return err
	}
	defer fromDir.Close()
	toDir, err := root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer toDir.Close()
	if err := rename(int(fromDir.Fd()), path.Base(from), int(toDir.Fd()), path.Base(to)); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
