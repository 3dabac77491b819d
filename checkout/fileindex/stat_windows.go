package fileindex

import (
	"os"
	"syscall"
)

func (s *Stat) fill(info os.FileInfo) {
	if sys, ok := info.Sys().(*syscall.Win32FileAttributeData); ok {
		s.ChangeTime = sys.CreationTime.Nanoseconds()
	}
}
