package store

// sharedBytes is what a task's commands add to those of its lane: the bytes between a prefix and a suffix that both have.
// The tasks of a job differ in a frame number and little else, so a few bytes stand for some hundred.
type sharedBytes struct {
	prefix, suffix int // bytes taken from the start and the end of the lane's commands
	middle         []byte
}

// share says what commands adds to template.
func share(template, commands []byte) sharedBytes {
	shorter := min(len(template), len(commands))
	var s sharedBytes
	for s.prefix < shorter && template[s.prefix] == commands[s.prefix] {
		s.prefix++
	}
	for s.suffix < shorter-s.prefix && template[len(template)-1-s.suffix] == commands[len(commands)-1-s.suffix] {
		s.suffix++
	}
	s.middle = commands[s.prefix : len(commands)-s.suffix]
	return s
}

// join undoes share.
func (s sharedBytes) join(template []byte) []byte {
	commands := make([]byte, 0, s.prefix+len(s.middle)+s.suffix)
	commands = append(commands, template[:s.prefix]...)
	commands = append(commands, s.middle...)
	return append(commands, template[len(template)-s.suffix:]...)
}
