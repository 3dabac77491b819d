package fileindex

import (
	"os"
	"syscall"
)

func (s *Stat) fill(info os.FileInfo) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.ChangeTime, s.Inode, s.Device = sys.Ctim.Nano(), sys.Ino, uint64(sys.Dev) //nolint:unconvert // 32 bits on some platforms
	}
}
