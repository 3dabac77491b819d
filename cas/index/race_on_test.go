//go:build race

package index

// The race detector makes each draw several times as slow, and finds what it is for in a few.
const mostDraws = "20"
