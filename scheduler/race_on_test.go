//go:build race

package scheduler_test

// The race detector slows SQLite down twentyfold, and finds what it is for in a few farms.
const randomFarms = "20"
