package checkout

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameNoReplace renames a file or directory below root; fs.ErrExist if there is anything under the new name.
func renameNoReplace(root *os.Root, from, to string) error {
	err := renameAt(root, from, to, func(fromDir int, fromBase string, toDir int, toBase string) error {
		return unix.RenameatxNp(fromDir, fromBase, toDir, toBase, unix.RENAME_EXCL)
	})
	// Network file systems do not know the flag.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return renameReserved(root, from, to)
	}
	return err
}
