// Package disk keeps blobs in a directory, each in the shape that suits it: a blob of more than 256 KiB as a whole,
// read-only file, as Blender opens it; smaller ones many to a pack, where one sync makes all of them durable. The whole
// files of small ones are derived when a checkout needs them. Of big files that were cut it also keeps the recipe, and
// so finds chunks in them: an old version is the seed of the next, and nothing is stored twice.
//
// Promises: a blob is visible whole or not at all. When Commit, or whatever else stores, has returned nil, the blob
// survives a power cut, and nobody in this process is told of it before that. Two writers of one blob both succeed. One
// process at a time writes to a store; others may read beside it. Opening clears what a crash left, brings the index up
// to date, and never touches a directory that is not a store. The index can be deleted at any time while the store is
// closed: it is made anew from the packs. The order of steps behind these promises is written down in writer.go.
//
// It does not: delete blobs, decide which chunks travel, speak HTTP. It bounds the memory of one writer, and of all small
// bodies together; the number of writers and assemblies is the caller's to bound, and so is the length of a body.
//
// The directory, format 2:
//
//	format               "hayloft-blobs 2\n"
//	lock                 locked by the one process that writes; says "closed" after it ended in order
//	generation           a random id; clients keep what the store told them under it
//	epoch                "<number> <boot id>\n"; see epoch in identity.go
//	objects/ab/cdef…     a blob, mode 0444, named by its SHA-256 in lower-case hex: 2 digits, then 62
//	packs/               small blobs and recipes; see package pack
//	index.db             where in the packs they lie, and which blobs have which chunks; a cache
//	assembling/          HEX.recipe and HEX.part: blobs that are being put together from chunks
//	incoming/*.part      files being written
//	refs/NAME            "<sha256> <size>\n": the tree called NAME is the manifest with this blob
//
// Format 1 had no packs and what belongs to them. Such a store is taken over by giving it the new stamp; its small blobs
// stay files.
//
// It imports nothing of ours but package cas and cas/chunk, cas/pack, cas/index.
package disk
