package api

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"hayloft/scheduler"
)

// postedName is the file in which a job's deliveries are written down, a key a line.
const postedName = "posted.txt"

// posted is what was delivered of a job. It outlives the manager; the job's deletion takes it away.
type posted struct {
	file *os.File
	keys map[string]bool
}

// postedKey names an output in one state: its task, its place and its bytes.
func postedKey(o scheduler.Output) string {
	sum := sha256.New()
	for _, part := range []string{o.Task.String(), o.Root, o.Path, o.SHA256} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func openPosted(dir string) (*posted, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("note what was posted: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, postedName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("note what was posted: %w", err)
	}
	p := &posted{file: file, keys: map[string]bool{}}
	if err := p.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read what was posted: %w", err), file.Close())
	}
	return p, nil
}

// load reads the keys. The end of a line that a crash cut off is dropped: that output is delivered again.
func (p *posted) load() error {
	from, whole := bufio.NewReader(p.file), int64(0)
	for {
		line, err := from.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return p.file.Truncate(whole)
		}
		if err != nil {
			return err
		}
		whole += int64(len(line))
		p.keys[line[:len(line)-1]] = true
	}
}

func (p *posted) has(o scheduler.Output) bool { return p.keys[postedKey(o)] }

// add returns when the delivery is on stable storage.
func (p *posted) add(o scheduler.Output) error {
	key := postedKey(o)
	if _, err := p.file.WriteString(key + "\n"); err != nil {
		return fmt.Errorf("note that %s was posted: %w", o.Path, err)
	}
	if err := p.file.Sync(); err != nil {
		return fmt.Errorf("note that %s was posted: %w", o.Path, err)
	}
	p.keys[key] = true
	return nil
}

func (p *posted) close() { _ = p.file.Close() } // All that counts was synced.
