//go:build race

package disk

// The race detector makes each step several times as slow, and looks for other faults than those of single steps: those
// are looked for at every step without it.
const stepsApart = 4
