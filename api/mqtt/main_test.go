package mqtt

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds each wait for an event. Nothing takes that long unless it is broken.
const patience = 30 * time.Second

// broker is a real Mosquitto on a loopback port of its own. It keeps sessions on disk, so that a subscriber misses nothing
// while the broker is away.
type broker struct {
	t       *testing.T
	folder  string
	port    int
	process *exec.Cmd
	lines   chan string // of its log
	ended   chan struct{}
}

// newBroker prepares a broker with further lines of configuration and does not start it.
func newBroker(t *testing.T, settings ...string) *broker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, folder: t.TempDir(), port: listener.Addr().(*net.TCPAddr).Port}
	listener.Close()
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	// The server gives up root, after which it could not read the folder of the test; so it stays who it is.
	lines := append([]string{
		fmt.Sprintf("listener %d 127.0.0.1", b.port), "user " + self.Username,
		"persistence true", "persistence_location " + b.folder + "/", "max_queued_messages 0", "log_type all",
	}, settings...)
	if err := os.WriteFile(b.configuration(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return b
}

func (b *broker) configuration() string { return filepath.Join(b.folder, "mosquitto.conf") }

func (b *broker) url() string { return fmt.Sprintf("tcp://127.0.0.1:%d", b.port) }

// start runs the server and returns when it takes connections.
func (b *broker) start() {
	b.t.Helper()
	b.process = exec.Command(program(b.t), "-c", b.configuration())
	log, err := b.process.StderrPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.lines, b.ended = make(chan string, 100_000), make(chan struct{})
	go func(process *exec.Cmd, lines chan<- string, ended chan<- struct{}) {
		defer close(ended)
		defer process.Wait()
		defer close(lines)
		read := bufio.NewScanner(log)
		for read.Scan() {
			select {
			case lines <- read.Text():
			default:
			}
		}
	}(b.process, b.lines, b.ended)
	b.says(" running")
}

// says waits for a line in the broker's log and returns it.
func (b *broker) says(part string) string {
	b.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-b.lines:
			if !ok {
				b.t.Fatalf("the broker ended before it said %q", part)
			}
			if strings.Contains(line, part) {
				return line
			}
		case <-timeout:
			b.t.Fatalf("the broker did not say %q", part)
		}
	}
}

// stop lets the broker write its sessions down and end.
func (b *broker) stop() { b.signal(os.Interrupt) }

// kill ends the broker with no time to do anything.
func (b *broker) kill() { b.signal(os.Kill) }

func (b *broker) signal(s os.Signal) {
	if b.process == nil {
		return
	}
	b.process.Process.Signal(s)
	<-b.ended
	b.process = nil
}

// program finds the server, which Debian keeps outside of the PATH of most users.
func program(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("mosquitto is not installed: run .ci/setup test")
	return ""
}

// received is a message as a subscriber sees it.
type received struct {
	Topic, Payload string
	QoS            byte
	Retained       bool
}

// subscriber hears everything on a broker, also what is sent while it was away.
type subscriber struct {
	t        *testing.T
	messages chan received
	ready    chan struct{} // an element for each time it has subscribed
	conn     *autopaho.ConnectionManager
	seen     map[string]bool // payloads that nextNew gave
}

func subscribe(t *testing.T, b *broker) *subscriber {
	t.Helper()
	s := &subscriber{t: t, messages: make(chan received, 10_000), ready: make(chan struct{}, 100), seen: map[string]bool{}}
	at, err := url.Parse(b.url())
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	s.conn, err = autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{at}, KeepAlive: 30, SessionExpiryInterval: 3600,
		ReconnectBackoff: func(attempt int) time.Duration { return time.Duration(min(attempt, 1)) * 20 * time.Millisecond },
		OnConnectionUp: func(conn *autopaho.ConnectionManager, _ *paho.Connack) {
			options := []paho.SubscribeOptions{{Topic: "#", QoS: 2}}
			if _, err := conn.Subscribe(ctx, &paho.Subscribe{Subscriptions: options}); err == nil {
				s.ready <- struct{}{}
			}
		},
		ClientConfig: paho.ClientConfig{
			ClientID: "subscriber",
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
				p := r.Packet
				s.messages <- received{Topic: p.Topic, Payload: string(p.Payload), QoS: p.QoS, Retained: p.Retain}
				return true, nil
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		<-s.conn.Done()
	})
	s.subscribed()
	return s
}

func (s *subscriber) subscribed() { s.t.Helper(); take(s.t, s.ready) }

func (s *subscriber) next() received { s.t.Helper(); return take(s.t, s.messages) }

// nextNew leaves out what came before: a broker that was killed does not know what its subscribers have.
func (s *subscriber) nextNew() received {
	s.t.Helper()
	for {
		if m := s.next(); !s.seen[m.Payload] {
			s.seen[m.Payload] = true
			return m
		}
	}
}

// take waits for an element of a channel.
func take[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable: Fatal ends the test")
}

// run starts a publisher; the returned function ends it and waits until it has.
func run(t *testing.T, p *Publisher) (stop func()) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		end()
		if err := take(t, ended); err != nil {
			t.Errorf("the publisher ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// journal is a log in which a test waits for lines.
type journal struct{ lines chan string }

func newJournal() journal { return journal{lines: make(chan string, 10_000)} }

func (j journal) Write(line []byte) (int, error) {
	j.lines <- string(line)
	return len(line), nil
}

var _ io.Writer = journal{}

func (j journal) says(t *testing.T, part string) string {
	t.Helper()
	for {
		if line := take(t, j.lines); strings.Contains(line, part) {
			return line
		}
	}
}
