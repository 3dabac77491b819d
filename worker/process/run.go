package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"
)

// ErrSilent says that the process was ended because it wrote nothing for too long.
var ErrSilent = errors.New("no output for too long")

// Spec says what to run.
type Spec struct {
	Args []string // the program, found by exec.LookPath, and its arguments
	Env  []string // added to the environment of the calling process

	Line func(Line) // called for each line of standard output and error, from one goroutine

	Grace   time.Duration // between asking a group to end and killing it
	Silence time.Duration // longest time without output; zero means no limit

	Ledger *Ledger // where the process is written down while it runs; may be nil
}

// Stream is one of the two streams that a process writes to, by the number of its file descriptor.
type Stream int

// The streams of a process.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Line is a line that a process wrote, or a piece of one that is longer than [MaxLine]. The lines of one stream come in
// their order; those of the other come between them about when they were written.
type Line struct {
	PID       int
	Stream    Stream
	Text      string // without its end
	Continued bool   // it goes on with the line of that stream before it
}

// Exit tells how a process ended.
type Exit struct {
	Code  int    // exit code, -1 when there is none
	Crash string // what ended it, such as "signal: killed", when it did not end by itself; otherwise empty
}

// child is a running process. Its goroutine own keeps the operating system's thread that started the process, because
// Linux ties the parent-death signal to that thread.
type child struct {
	spec  Spec
	cmd   *exec.Cmd
	group *group

	exited  chan struct{} // closed when the process ended and was not reaped
	release chan struct{} // closed when nobody will signal the group any more
	reaped  chan struct{} // closed at the very end
	last    atomic.Int64  // nanoseconds since begin of the newest output
	begin   time.Time
}

// Run runs a process to its end. When ctx ends first, the group is ended and the cause of ctx is returned; too long a
// silence gives ErrSilent. A program that cannot be started gives the system's error. A process that ended by itself is
// no error, whatever its exit code.
func Run(ctx context.Context, spec Spec) (Exit, error) {
	c := &child{spec: spec, begin: time.Now(), exited: make(chan struct{}), release: make(chan struct{}), reaped: make(chan struct{})}
	c.cmd = exec.Command(spec.Args[0], spec.Args[1:]...) //nolint:noctx // The whole group is ended with ctx, not only the child.
	pipes, err := openPipes()
	if err != nil {
		return Exit{}, fmt.Errorf("make pipes for the output: %w", err)
	}
	c.cmd.Stdout, c.cmd.Stderr = pipes.stdout.write, pipes.stderr.write
	started := make(chan error)
	go c.own(started)
	err = <-started
	pipes.closeWriting()
	if err != nil {
		pipes.closeReading()
		return Exit{}, err
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		c.deliver(pipes)
	}()
	err = c.supervise(ctx)
	close(c.release)
	<-c.reaped
	pipes.drain(drained)
	return exitOf(c.cmd.ProcessState), err
}

// own starts the process, waits for its end, and reaps it after the rest of its group is dead: until then the group's
// number stays taken.
func (c *child) own(started chan<- error) {
	defer close(c.reaped)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var forget func()
	err := func() (err error) {
		if c.group, err = newGroup(c.cmd); err != nil {
			return err
		}
		token := newToken()
		c.cmd.Env = append(append(os.Environ(), c.spec.Env...), tokenVariable+"="+token)
		if err = c.cmd.Start(); err != nil {
			c.group.close()
			return err
		}
		if err = c.group.adopt(c.cmd); err == nil {
			forget, err = c.spec.Ledger.add(c.cmd.Process.Pid, token)
		}
		if err != nil {
			c.group.kill()
			c.cmd.Wait()
			c.group.close()
		}
		return err
	}()
	started <- err
	if err != nil {
		return
	}
	waitExited(c.cmd)
	close(c.exited)
	<-c.release
	c.group.kill()
	// The exit code is read from ProcessState; that it is not zero is no error here.
	c.cmd.Wait()
	c.group.close()
	forget()
}

// supervise waits for the end of the process and brings it about when it has to.
func (c *child) supervise(ctx context.Context) error {
	quiet := c.spec.Silence
	for {
		silence, stopSilence := timer(quiet)
		select {
		case <-c.exited:
			stopSilence()
			return nil
		case <-ctx.Done():
			stopSilence()
			c.stop()
			return context.Cause(ctx)
		case <-silence:
			if quiet = c.spec.Silence - (time.Since(c.begin) - time.Duration(c.last.Load())); quiet <= 0 {
				c.stop()
				return fmt.Errorf("%w (limit %v)", ErrSilent, c.spec.Silence)
			}
		}
	}
}

// timer gives a channel that fires after d, or never when d is zero.
func timer(d time.Duration) (<-chan time.Time, func() bool) {
	if d <= 0 {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(d)
	return t.C, t.Stop
}

func (c *child) stop() {
	c.group.terminate()
	grace := time.NewTimer(c.spec.Grace)
	defer grace.Stop()
	select {
	case <-c.exited:
	case <-grace.C:
		c.group.kill()
		<-c.exited
	}
}
