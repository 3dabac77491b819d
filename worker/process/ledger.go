package process

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tokenVariable marks the environment of every process of a run, so that it is recognised when its leader is gone.
const tokenVariable = "HAYLOFT_RUN"

func newToken() string { return rand.Text() }

// Ledger is a directory with one small file for each running process. It is not synced: what it is for, the end of the
// calling process alone, leaves the system's cache intact, and a power cut ends the children as well.
type Ledger struct{ dir string }

// entry is what the ledger knows of a process.
type entry struct {
	PID   int    `json:"pid"`   // also the number of its group
	Start string `json:"start"` // the system's start time of the process, empty where it cannot be had
	Token string `json:"token"`
}

// OpenLedger opens a ledger and makes its directory when it is missing.
func OpenLedger(dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the ledger of running processes: %w", err)
	}
	return &Ledger{dir: dir}, nil
}

// add writes a process down and gives the function that strikes it out.
func (l *Ledger) add(pid int, token string) (forget func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	text, err := json.Marshal(entry{PID: pid, Start: startTime(pid), Token: token})
	if err != nil {
		return nil, fmt.Errorf("write process %d down: %w", pid, err)
	}
	path := filepath.Join(l.dir, strconv.Itoa(pid)+".json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("write process %d down: %w", pid, err)
	}
	return func() { os.Remove(path) }, nil
}

// Clear kills what earlier owners of the ledger left running and gives the numbers of the groups it killed. A group is
// touched only when its leader has the start time that was written down or a member carries the run's token. Where the
// system does not tell (anything but Linux), nothing is killed.
func (l *Ledger) Clear() (killed []int, err error) {
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("read the ledger of running processes: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(l.dir, f.Name())
		if e, ok := readEntry(path); ok && alive(e) {
			killGroup(e.PID)
			killed = append(killed, e.PID)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return killed, fmt.Errorf("clear the ledger of running processes: %w", err)
		}
	}
	return killed, nil
}

// readEntry skips what is not an entry: a file may be cut off when its writer was killed.
func readEntry(path string) (entry, bool) {
	if !strings.HasSuffix(path, ".json") {
		return entry{}, false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return entry{}, false
	}
	var e entry
	err = json.Unmarshal(text, &e)
	return e, err == nil && e.PID > 1 && e.Token != ""
}
