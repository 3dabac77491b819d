//go:build unix && !linux && !darwin

package checkout

import "os"

// renameNoReplace renames a file or directory below root; fs.ErrExist if there is anything under the new name.
func renameNoReplace(root *os.Root, from, to string) error { return renameReserved(root, from, to) }
