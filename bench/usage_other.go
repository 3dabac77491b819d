//go:build !linux

package main

import "io/fs"

// readUsage is only known on Linux; elsewhere the rows that need it are left out.
func readUsage() (usage, error) { return usage{}, nil }

// busySeconds is only known on Linux.
func busySeconds() (all, own float64, ok bool) { return 0, 0, false }

// usageOf is only known on Linux.
func usageOf(int) (processUsage, bool) { return processUsage{}, false }

// resetPeak is only known on Linux.
func resetPeak(int) {}

// occupied gives the length of a file where the system does not tell what it occupies.
func occupied(info fs.FileInfo) (bytes int64, inode uint64) { return info.Size(), 0 }
