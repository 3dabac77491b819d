//go:build !linux && !darwin && !windows

package fileindex

import "os"

func (s *Stat) fill(os.FileInfo) {}
