// Package tasklog is the format of a task's log. A log is one text for people, in the order in which things happened; the
// marks in it tell which lines a process wrote, and to which stream, so that the streams can be had apart again.
//
//	pid=4711 > a line of standard output
//	pid=4711 >> more of that line, which was too long for one
//	pid=4711 2> a line of standard error
//	pid=4711 2>> more of that line
//	anything else was said by the worker or the manager
//
// The first form is that of Flamenco's workers (fact sheet, "Worker commands"). They read both streams through one pipe, so
// that all their lines count as standard output.
//
// Promises: what [Line] and [Note] make comes out of a [Splitter] as it went in, whatever the text; a Splitter takes a log
// of any length, in pieces of any size, with a few kilobytes of memory.
//
// Workers write the format, the manager and clients read it. The package must not import anything of ours.
package tasklog
