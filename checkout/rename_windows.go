package checkout

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// renameNoReplace renames a file or directory below root; fs.ErrExist if there is anything under the new name.
func renameNoReplace(root *os.Root, from, to string) error {
	fromPath, err := windows.UTF16PtrFromString(filepath.Join(root.Name(), filepath.FromSlash(from)))
	if err != nil {
		return err
	}
	toPath, err := windows.UTF16PtrFromString(filepath.Join(root.Name(), filepath.FromSlash(to)))
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(fromPath, toPath, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
