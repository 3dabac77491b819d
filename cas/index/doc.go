// Package index tells in which pack, and where in it, a small blob or a recipe lies, and which blob has the bytes of a
// chunk. It is one SQLite file.
//
// Promises: it is a cache. All that it knows stands in the packs and the recipes in them, so that losing it loses time
// only, and [ErrDamaged] means: delete it and fill it anew. What [Index.Add] takes in shows as a whole or not at all. After
// a power cut, the last additions may be missing; [Index.Position] then stands before them, and scanning the packs from
// there on brings them back. Questions are asked in batches, and cost the same however much the index holds.
//
// The package reads and writes no packs, and deletes no files. It imports nothing of ours but cas, cas/chunk and cas/pack.
//
// # Format
//
// The file has the application id 0x6879696e and the user version 1, is in WAL mode, and is written with synchronous =
// NORMAL. The tables are those in schema.go. Numbers are as their names say; lengths, sizes and offsets are in bytes. A chunk is
// found by the first 16 bytes of its id: bytes that are taken from there are checked with the whole id or the SHA-256 of what
// they make, so that an equal prefix costs time and nothing else.
package index
