package checkout

import (
	"errors"

	"golang.org/x/sys/windows"
)

// forbiddenHere are the characters of a Path that no file name may hold here (Microsoft, "Naming Files, Paths, and
// Namespaces"; a colon would name an alternate data stream).
const forbiddenHere = `<>:"|?*`

// hasModes tells that files here have no mode that makes them executable.
const hasModes = false

// isNotDirectory tells whether a component of a path is a file.
func isNotDirectory(err error) bool {
	return errors.Is(err, windows.ERROR_DIRECTORY) || errors.Is(err, windows.ERROR_PATH_NOT_FOUND)
}
