//go:build !linux

package main

// readUsage is only known on Linux; elsewhere the rows that need it are left out.
func readUsage() (usage, error) { return usage{}, nil }

// busySeconds is only known on Linux.
func busySeconds() (all, own float64, ok bool) { return 0, 0, false }
