package fileindex

import "os"

// Stat is what the file system says of a file without reading it. Two that differ mean that the file may have changed.
type Stat struct {
	Size       int64  // bytes
	ModTime    int64  // nanoseconds since 1970 UTC
	ChangeTime int64  // of the inode, in the same unit; on Windows the time of creation
	Inode      uint64 // 0 where the system does not tell
	Device     uint64 // 0 where the system does not tell
}

// StatOf takes a Stat from what [os.Stat] or [os.File.Stat] gave.
func StatOf(info os.FileInfo) Stat {
	s := Stat{Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	s.fill(info)
	return s
}
