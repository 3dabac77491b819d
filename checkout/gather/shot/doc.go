// Package shot gathers what one .blend file needs into a tree that renders anywhere ([Gather]): the scene, its libraries
// at any depth, and every file that they name, laid out so that all paths between them are relative.
//
// Files of the project keep their places. A file from outside comes into a side folder, below a folder that is named
// after a digest of the one it came from, so that it always gets the same place, names never clash, and what lies side by
// side stays side by side: sequences, tiles, caches beside a scene. A .blend file in which a path must change is copied
// into a spool and changed there. An unchanged file with unchanged paths is not copied again, and the copy looks
// untouched to package fileindex.
//
// Promises: no file of the artist's is written to. What is needed and not there is reported by the datablock that names
// it, and so is a library that is there and cannot be read. Of libraries only what is linked from them counts, however
// they are found. A path that differs from a file's name in case or Unicode form only leads to that file; a path of another system is
// translated by the caller's variables, or reported. The same files give the same tree. A file that a datablock names is
// never ignored; only what a needed folder happens to hold can be.
//
// It knows no store and no network, and imports nothing of ours but checkout and what is below it.
package shot
