package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// farm is the built manager with a folder of its own, and the relay by which clients reach it.
type farm struct {
	relay   *relay
	program string
	data    string
	manager *exec.Cmd
	url     string // without the relay
}

// startFarm starts a manager in a new folder below dir.
func (b *bench) startFarm(ctx context.Context, dir string) (*farm, error) {
	built, err := b.built(ctx)
	if err != nil {
		return nil, err
	}
	r, err := newRelay(ctx)
	if err != nil {
		return nil, err
	}
	f := &farm{relay: r, program: built.hayloft, data: filepath.Join(dir, "farm")}
	if err := f.start(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return f, nil
}

// start starts the manager on the farm's folder, which may have one's data already.
func (f *farm) start(ctx context.Context) error {
	f.manager = exec.CommandContext(ctx, f.program, "manager", "--data", f.data, "--listen", "127.0.0.1:0", "--json")
	f.manager.Env = cleanEnvironment(filepath.Dir(f.data))
	stdout, err := f.manager.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start the manager: %w", err)
	}
	if err := f.manager.Start(); err != nil {
		return fmt.Errorf("start the manager: %w", err)
	}
	var announced struct {
		URL string `json:"url"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &announced)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start the manager: no address in %.200q: %w", line, err), f.kill())
	}
	f.url = announced.URL
	f.relay.aimAt(strings.TrimPrefix(f.url, "http://"))
	return nil
}

// kill ends the manager as a power cut does.
func (f *farm) kill() error {
	err := f.manager.Process.Kill()
	_ = f.manager.Wait() // It was killed; how it ended says nothing.
	return err
}

// close ends the manager and the relay.
func (f *farm) close() error {
	err := f.manager.Process.Signal(os.Interrupt)
	if err != nil {
		err = f.manager.Process.Kill()
	}
	if waited := f.manager.Wait(); waited != nil {
		err = errors.Join(err, fmt.Errorf("end the manager: %w", waited))
	}
	return errors.Join(err, f.relay.close())
}

// blobs is the manager's asset store.
func (f *farm) blobs() string { return filepath.Join(f.data, "storage", "blobs") }

// settled waits until the manager does nothing for a moment, and gives what it has used until then. Work that it put off
// until after its answer counts too.
func (f *farm) settled(ctx context.Context) (processUsage, error) {
	const (
		moment = 60 * time.Millisecond // several ticks of the clock that counts processor time
		most   = 200
	)
	before, _ := usageOf(f.manager.Process.Pid)
	for range most {
		if err := pause(ctx, moment); err != nil {
			return before, err
		}
		now, _ := usageOf(f.manager.Process.Pid)
		if now.CPU-before.CPU < 0.02 {
			return now, nil
		}
		before = now
	}
	return before, nil
}
