// Package frame knows rendered frames: which ones a Blender command line asks for ([ParseArgs], [ParseList]), what their
// files are called ([Pattern]), whether a file is a whole frame ([Check]) and how a checked frame gets to its final place
// ([Publish]).
//
// Promises: a file that Check accepts was complete when it was read, as far as its format lets one tell. A file that
// Publish wrote is visible whole or not at all, and its bytes are on stable storage when Publish returns. Command lines
// that are not understood with certainty are refused with [ErrUnmanaged], never guessed at.
//
// It starts no processes, speaks no HTTP and imports nothing of ours.
package frame
