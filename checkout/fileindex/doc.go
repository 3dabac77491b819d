// Package fileindex remembers, between runs of a program, what the files on this machine were: for each path its size,
// times and identity, and the blob, the recipe and the envelope that reading it gave. A file that still looks the same
// need not be read again. It also remembers which blobs a store said to have.
//
// Promises: a file does not count as unchanged if it could have been changed without a sign of it: an entry is trusted
// only if the file's times are older than the moment when it was read (git's rule for racily clean files). An index that
// is damaged costs time, never a wrong answer: every entry carries a checksum, and a damaged file is replaced by an empty
// one. Many processes can use one index at a time, on a network share too. It does not grow without bound.
//
// One thing cannot be seen. The times of files on a share are those of its server. If that clock is behind, two writings
// of equal length within one tick of it, with a reading between them, look like one.
//
// It reads no file of a project itself. It imports nothing of ours but cas and checkout.
package fileindex
