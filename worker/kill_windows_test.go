package worker

import "os"

func killHard(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}
