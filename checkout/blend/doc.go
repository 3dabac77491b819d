// Package blend reads .blend files: their blocks, their structs by the names of fields ([Open]), and everything that a
// scene needs from disk, through linked libraries of any depth ([Trace]). It writes copies in which the paths are others
// ([Rewrite]).
//
// It reads what Blender 2.4 to 5.x writes: plain, gzip and zstd, 4- and 8-byte pointers, both byte orders, the 12-byte
// header and the 17-byte one of 5.0. Of zstd files with a seek table only those frames are decoded that are asked for,
// of these no more than is needed, and several at the same time where one after the other is needed. A stream without
// one is decoded once; what is beyond 32 MiB of it goes to a temporary file.
//
// Promises: no file, however made, makes it panic, run endlessly or take more memory than the limits in this package
// allow. It never writes to a file that it reads. No path is ever cut. What is packed into a .blend file is no dependency
// of it; what a packed library needs itself is. A field that a file's Blender did not know reads as zero.
//
// Trace looks at every struct that can hold a path, wherever it hangs, and at all datablocks of the files that it is
// given; of a library, at what the linked datablocks reach. A custom property is a path if it is declared to be one, or
// if it begins with "//" and names a file that is there; an input of a node also if it is absolute and names one. With a
// USD cache come the layers that it is composed of, with an OSL script what it includes. Paths in drivers and scripts,
// and those that nodes join from pieces, are out of its reach. JSON shows
// bytes of a path that are no UTF-8 as PEP 383 does.
//
// The package knows no store and no network, and imports nothing of ours.
package blend
