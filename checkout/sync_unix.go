//go:build unix

package checkout

import "os"

// syncDir makes the names in a directory durable.
func syncDir(root *os.Root, path string) error {
	dir, err := root.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
