package checkout

import (
	"os"
	"path/filepath"
)

// hardlink gives the file at the absolute path source a second name in dir; fs.ErrExist if the name is taken.
func hardlink(dir *os.Root, source, name string) error {
	return os.Link(source, filepath.Join(dir.Name(), name))
}
