package blend

import (
	"errors"
	"fmt"
)

// Errors by meaning; test with [errors.Is].
var (
	// ErrNotBlend: the bytes are no .blend file, in no compression that Blender writes.
	ErrNotBlend = errors.New("this is no .blend file")
	// ErrNewer: the file's layout is of a Blender that this reader does not know.
	ErrNewer = errors.New("made by a newer Blender than this program can read; save it for an older one, or update Hayloft")
	// ErrCorrupt: the file contradicts itself or ends too early.
	ErrCorrupt = errors.New("the file is damaged or was cut short; save it again from Blender")
	// ErrTooLarge: the file asks for more memory or work than this reader grants any file.
	ErrTooLarge = errors.New("the file exceeds the limits for .blend files")
	// ErrPathTooLong: a new path does not fit into the field that it is for.
	ErrPathTooLong = errors.New("the path is longer than its field in the .blend file; choose a shorter folder")
	// ErrSameFile: a copy would be written over the file that it is of.
	ErrSameFile = errors.New("the copy is the file itself; choose another place for it")
	// ErrBadText: a new path is none that a .blend file can hold.
	ErrBadText = errors.New("a path in a .blend file is neither empty nor has a NUL in it")
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCorrupt)
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrTooLarge)
}
