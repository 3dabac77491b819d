// Package disk keeps blobs as whole, read-only files in a directory, in the shape in which Blender opens them.
//
// Promises: a blob is visible whole or not at all. When Commit has returned nil, the blob survives a power cut, and
// nobody is told of a blob before that. Two writers of one blob both succeed. One process at a time writes to a store;
// others may read beside it. Opening clears what a crash left, and never touches a directory that is not a store. The
// order of steps behind these promises is written down in writer.go.
//
// It does not: fold small blobs into packs, delete blobs, cut chunks, speak HTTP. It bounds the memory of one writer;
// the number of writers is the caller's to bound, and so is the length of a body.
//
// The directory, format 1:
//
//	format               "hayloft-blobs 1\n"
//	lock                 locked by the one process that writes; says "closed" after it ended in order
//	objects/ab/cdef…     a blob, mode 0444, named by its SHA-256 in lower-case hex: 2 digits, then 62
//	incoming/*.part      files being written
//	refs/NAME            "<sha256> <size>\n": the tree called NAME is the manifest with this blob
//
// It imports nothing of ours but package cas.
package disk
