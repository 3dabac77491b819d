package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// addressLine is how `hayloft up` tells where it listens.
var addressLine = regexp.MustCompile(`Hayloft is at (https?://[^\s/,]+)`)

const (
	// startLimit is how long a farm may take to say where it is.
	startLimit = 60 * time.Second
	// stopLimit is how long a farm may take to end after it was asked to; then it is killed.
	stopLimit = 20 * time.Second
)

// farm is one running `hayloft up`.
type farm struct {
	url   string // without a slash at its end
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	err   error         // how it went; read it only after ended
}

// startFarm starts a manager with two workers on a free loopback port and returns when it said where it listens. All
// it prints goes to the folder's farm.log.
func startFarm(ctx context.Context, hayloft string, folder *folder) (*farm, error) {
	log, err := os.Create(folder.farmLog())
	if err != nil {
		return nil, fmt.Errorf("opening the farm's log: %w", err)
	}
	// The farm is ended by stop, in good order, also when ctx ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), hayloft, "up", "--data", folder.data(), "--listen", "127.0.0.1:0", "--workers", "2")
	detach(cmd)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the farm: %w", err), log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the farm: %w; `make build` builds it", err), log.Close())
	}
	f := &farm{cmd: cmd, ended: make(chan struct{})}
	address := make(chan string, 1)
	go func() {
		defer close(f.ended)
		relay(stdout, log, address)
		f.err = errors.Join(cmd.Wait(), log.Close())
	}()
	if err := f.awaitAddress(ctx, address); err != nil {
		f.stop()
		return nil, fmt.Errorf("%w\nThe farm's log: %s", err, folder.farmLog())
	}
	return f, nil
}

// relay copies lines until the stream ends. The first address goes to the channel, which must have room for one.
func relay(from io.Reader, to io.Writer, address chan<- string) {
	lines := bufio.NewReader(from)
	found := false
	for {
		line, err := lines.ReadString('\n')
		io.WriteString(to, line)
		if url, ok := addressIn(line); ok && !found {
			found = true
			address <- url
		}
		if err != nil {
			return
		}
	}
}

// addressIn finds the manager's URL, without a slash at its end, in a line that `hayloft up` printed.
func addressIn(line string) (string, bool) {
	match := addressLine.FindStringSubmatch(line)
	if match == nil {
		return "", false
	}
	return match[1], true
}

func (f *farm) awaitAddress(ctx context.Context, address <-chan string) error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case f.url = <-address:
		return nil
	case <-f.ended:
		return fmt.Errorf("the farm ended before it said where it listens: %w", errOrExit(f.err))
	case <-limit.C:
		return fmt.Errorf("the farm did not say within %v where it listens", startLimit)
	case <-ctx.Done():
		return fmt.Errorf("ended by the user: %w", context.Cause(ctx))
	}
}

// errOrExit puts a process that ended well into words.
func errOrExit(err error) error {
	if err == nil {
		return errors.New("it exited with status 0")
	}
	return err
}

// wait returns when the user ends the demo, or when the farm ends by itself, which is a failure.
func (f *farm) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-f.ended:
		return fmt.Errorf("the farm ended by itself: %w", errOrExit(f.err))
	}
}

// stop ends the farm and returns when it is gone. Its workers and their Blender processes end with it.
func (f *farm) stop() {
	// Where a process cannot be asked to end, it is killed at once; an error means that it is gone already.
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		f.cmd.Process.Kill()
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-f.ended:
		return
	case <-limit.C:
	}
	f.cmd.Process.Kill()
	<-f.ended
}
