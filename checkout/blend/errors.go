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
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCorrupt)
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrTooLarge)
}
