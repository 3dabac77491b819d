package tasklog

import (
	"bytes"
	"strconv"
	"strings"
)

// Stream is one of the two streams that a process writes to, by the number of its file descriptor.
type Stream int

// The streams of a process.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// The files in which a task's log is kept beside its outputs.
const (
	FileName   = "log.txt"    // all of it
	StdoutName = "stdout.txt" // what its processes wrote to standard output, one after the other
	StderrName = "stderr.txt" // and to standard error
)

// FileNames are the names of all of them.
var FileNames = []string{FileName, StdoutName, StderrName}

// Marks are recognised within their first maxMark bytes; process ids have at most ten digits.
const (
	markStart = "pid="
	maxDigits = 10
	maxMark   = len(markStart) + maxDigits + len(" 2>> ")
)

// Line gives a line that a process wrote as it stands in the log, without a line break at its end. The text must have none
// either. continued says that it goes on with the line of that stream before it.
func Line(pid int, stream Stream, continued bool, text string) string {
	arrow := " > "
	switch {
	case stream == Stderr && continued:
		arrow = " 2>> "
	case stream == Stderr:
		arrow = " 2> "
	case continued:
		arrow = " >> "
	}
	return markStart + strconv.Itoa(pid) + arrow + text
}

// Note gives what a worker has to say as it stands in the log, without a line break at its end. No line of it can be taken
// for one of a process: further lines are indented.
func Note(text string) string {
	text = strings.NewReplacer("\r\n", "\n    ", "\n", "\n    ", "\r", "\n    ").Replace(text)
	if strings.HasPrefix(text, markStart) {
		return " " + text
	}
	return text
}

// mark is what the beginning of a line says about it.
type mark struct {
	stream    Stream
	continued bool
	length    int // bytes that are not the process's
}

// parseMark reads the mark of a line from its first maxMark bytes; ok is false for a line of nobody's process.
func parseMark(head []byte) (m mark, ok bool) {
	rest, ok := bytes.CutPrefix(head, []byte(markStart))
	if !ok {
		return mark{}, false
	}
	digits := 0
	for digits < len(rest) && digits < maxDigits && '0' <= rest[digits] && rest[digits] <= '9' {
		digits++
	}
	rest, ok = bytes.CutPrefix(rest[digits:], []byte(" "))
	if !ok || digits == 0 {
		return mark{}, false
	}
	m.stream = Stdout
	if after, isStderr := bytes.CutPrefix(rest, []byte("2")); isStderr {
		m.stream, rest = Stderr, after
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(">")); !ok {
		return mark{}, false
	}
	rest, m.continued = bytes.CutPrefix(rest, []byte(">"))
	// Editors and terminals strip the blank at the end of an empty line.
	after, blank := bytes.CutPrefix(rest, []byte(" "))
	m.length = len(head) - len(after)
	return m, blank || len(rest) == 0
}
