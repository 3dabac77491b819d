//go:build unix

package checkout

import (
	"errors"
	"syscall"
)

// forbiddenHere are the characters of a Path that no file name may hold here.
const forbiddenHere = ""

// hasModes tells that files here are executable or not.
const hasModes = true

// isNotDirectory tells whether a component of a path is a file.
func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
