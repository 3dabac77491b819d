//go:build unix

package disk

import (
	"io/fs"
	"syscall"
)

// blocksUsed is what the file takes on the disk, in bytes.
func blocksUsed(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }
