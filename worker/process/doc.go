// Package process runs one child process with everything that it starts: [Run] reads its standard output and its standard
// error line by line, ends the whole group when the context ends or a limit passes, and leaves nothing behind. A [Ledger]
// remembers on disk what is running, so that a later process can clear up after one that was killed.
//
// Promises: when Run returns, the child and all members of its process group are dead and every line that they wrote
// before was delivered. On Linux and Windows the child dies with the calling process, even when that is killed. On Linux
// and Windows a group is signalled only while its number cannot belong to anybody else.
//
// It knows nothing of tasks, Blender or managers and imports nothing of ours.
package process
