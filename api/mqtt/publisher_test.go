package mqtt

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// soon is the time to the next attempt in tests.
const soon = 20 * time.Millisecond

func publisher(t *testing.T, c Config) *Publisher {
	t.Helper()
	c.Reconnect = soon
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func publish(t *testing.T, p *Publisher, topic Topic, payload any) {
	t.Helper()
	if err := p.Publish(topic, payload); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesArriveInOrder(t *testing.T) {
	b := newBroker(t, "allow_anonymous true")
	b.start()
	s := subscribe(t, b)
	p := publisher(t, Config{Broker: b.url(), TopicPrefix: "studio/farm/"})
	run(t, p)

	job := uuid.MustParse("9b2e7a40-5f0c-4d7e-9d3a-8d0c8f2a1b55")
	type status struct {
		Status string `json:"status"`
	}
	var want []received
	for i, topic := range []Topic{Lifecycle, FarmStatus, Jobs, TasksOf(job), LastRenderedOf(job), LastRendered, Workers, WorkerTags} {
		publish(t, p, topic, status{fmt.Sprint("number ", i)})
		want = append(want, received{Topic: "studio/farm" + string(topic), Payload: fmt.Sprintf(`{"status":"number %d"}`, i), QoS: 1})
	}
	var got []received
	for range want {
		got = append(got, s.next())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got[4].Topic != "studio/farm/jobs/9b2e7a40-5f0c-4d7e-9d3a-8d0c8f2a1b55/last-rendered" {
		t.Errorf("the topic of a job's newest image is %s", got[4].Topic)
	}
}

// TestTheConnectionIsAsAgreed reads in the broker's log what a client said of itself: protocol version 5, no session that
// outlives it, keep-alive 30 s, its name and its user.
func TestTheConnectionIsAsAgreed(t *testing.T) {
	b := newBroker(t, "allow_anonymous false")
	passwords := filepath.Join(b.folder, "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", passwords, "hay", "loft secret").CombinedOutput(); err != nil {
		t.Fatalf("make the broker's passwords: %v: %s", err, out)
	}
	appendTo(t, b.configuration(), "password_file "+passwords+"\n")
	b.start()
	run(t, publisher(t, Config{Broker: b.url(), Username: "hay", Password: "loft secret"}))
	if line := b.says("New client connected"); !strings.HasSuffix(line, " as flamenco (p5, c1, k30, u'hay').") {
		t.Errorf("the broker said %q", line)
	}
}

func TestAWrongPasswordIsSaidOnce(t *testing.T) {
	b := newBroker(t, "allow_anonymous false")
	b.start()
	log := newJournal()
	p := publisher(t, Config{Broker: b.url(), Username: "hay", Password: "guessed", Log: slog.New(slog.NewTextHandler(log, nil))})
	stop := run(t, p)
	publish(t, p, Jobs, 1)
	for range 3 {
		b.says("not authorised")
	}
	if line := log.says(t, "cannot be reached"); !strings.Contains(line, b.url()) || strings.Contains(line, "guessed") {
		t.Errorf("logged %q", line)
	}
	stop()
	if len(log.lines) != 0 {
		t.Errorf("said again: %q", <-log.lines)
	}
	if got := p.Stats(); got != (Stats{Waiting: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestConnectsAgainAfterTheBrokerWasKilled(t *testing.T) {
	b := newBroker(t, "allow_anonymous true", "autosave_on_changes true", "autosave_interval 1")
	b.start()
	s := subscribe(t, b)
	log := newJournal()
	p := publisher(t, Config{Broker: b.url(), Log: slog.New(slog.NewTextHandler(log, nil))})
	run(t, p)
	publish(t, p, Jobs, "before")
	if got := s.nextNew(); got.Payload != `"before"` {
		t.Errorf("got %+v", got)
	}
	for round := range 3 {
		// The subscription must be on disk, or the broker would forget its subscriber.
		b.stop()
		b.start()
		s.subscribed()
		log.says(t, "connected to the MQTT broker")

		b.kill()
		log.says(t, "cannot be reached")
		if p.Stats().Connected {
			t.Error("counts as connected without a broker")
		}
		for i := range 5 {
			publish(t, p, Jobs, fmt.Sprint("round ", round, ", message ", i))
		}
		b.start()
		for i := range 5 {
			if got, want := s.nextNew().Payload, fmt.Sprintf("%q", fmt.Sprint("round ", round, ", message ", i)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		s.subscribed()
	}
}

func TestTheQueueIsBoundedWhileTheBrokerIsAway(t *testing.T) {
	b := newBroker(t, "allow_anonymous true")
	b.start()
	s := subscribe(t, b)
	b.stop()

	log := newJournal()
	p := publisher(t, Config{Broker: b.url(), Log: slog.New(slog.NewTextHandler(log, nil))})
	stop := run(t, p)
	const more = 250
	for i := range mostWaiting + more {
		publish(t, p, Jobs, i)
	}
	if got := p.Stats(); got != (Stats{Waiting: mostWaiting, Dropped: more}) {
		t.Errorf("without a broker: %+v", got)
	}
	b.start()
	if line := log.says(t, "connected to the MQTT broker"); !strings.Contains(line, "dropped=250") {
		t.Errorf("logged %q", line)
	}
	for i := range mostWaiting {
		if got := s.next(); got.Payload != fmt.Sprint(more+i) {
			t.Fatalf("message %d is %s, want %d", i, got.Payload, more+i)
		}
	}
	stop()
	if got := p.Stats(); got != (Stats{Sent: mostWaiting, Dropped: more}) {
		t.Errorf("at the end: %+v", got)
	}
}

func TestWhatWaitsIsSentBeforeTheEnd(t *testing.T) {
	b := newBroker(t, "allow_anonymous true")
	b.start()
	s := subscribe(t, b)
	p := publisher(t, Config{Broker: b.url()})
	stop := run(t, p)
	publish(t, p, Lifecycle, "hello")
	s.next()
	for i := range 100 {
		publish(t, p, Lifecycle, i)
	}
	stop()
	for i := range 100 {
		if got := s.next(); got.Payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, got.Payload)
		}
	}
	if got := p.Stats(); got != (Stats{Sent: 101}) {
		t.Errorf("at the end: %+v", got)
	}
}

func TestTheEndDoesNotWaitForABrokerThatIsAway(t *testing.T) {
	log := newJournal()
	p := publisher(t, Config{Broker: newBroker(t).url(), Log: slog.New(slog.NewTextHandler(log, nil))})
	stop := run(t, p)
	publish(t, p, Jobs, 1)
	log.says(t, "cannot be reached")
	begun := time.Now()
	stop()
	if took := time.Since(begun); took >= drainTime {
		t.Errorf("the end took %v", took)
	}
}

func TestAMessageThatIsTooLargeDoesNotBlockOthers(t *testing.T) {
	b := newBroker(t, "allow_anonymous true", "max_packet_size 2000")
	b.start()
	s := subscribe(t, b)
	p := publisher(t, Config{Broker: b.url()})
	stop := run(t, p)
	publish(t, p, Jobs, strings.Repeat("x", 3000))
	publish(t, p, Jobs, "small")
	if got := s.next(); got.Payload != `"small"` {
		t.Errorf("got %+v", got)
	}
	stop()
	if got := p.Stats(); got.Sent != 1 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
}

// TestARefusedMessageDoesNotBlockOthers has a broker that lets nobody write to one topic.
func TestARefusedMessageDoesNotBlockOthers(t *testing.T) {
	b := newBroker(t, "allow_anonymous true")
	rights := filepath.Join(b.folder, "rights")
	appendTo(t, rights, "topic read #\ntopic write flamenco/workers\n")
	appendTo(t, b.configuration(), "acl_file "+rights+"\n")
	b.start()
	s := subscribe(t, b)
	p := publisher(t, Config{Broker: b.url()})
	stop := run(t, p)
	publish(t, p, Jobs, "secret")
	publish(t, p, Workers, "open")
	if got := s.next(); got.Topic != "flamenco/workers" {
		t.Errorf("got %+v", got)
	}
	stop()
	if got := p.Stats(); got.Sent != 1 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAPayloadWithoutJSONIsAnError(t *testing.T) {
	p := publisher(t, Config{Broker: "tcp://127.0.0.1"})
	err := p.Publish(Jobs, make(chan int))
	if _, ok := errorAs[*json.UnsupportedTypeError](err); !ok || p.Stats().Waiting != 0 {
		t.Errorf("got the error %v, %+v", err, p.Stats())
	}
}
