//go:build unix

package mqtt

import (
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"
)

// TestAMessageOnItsWayIsSentAgain freezes the broker, so that a message goes out and is never acknowledged, and kills it
// then. Waiting for the acknowledgement ends with the connection, not with the library's time-out of 10 s.
func TestAMessageOnItsWayIsSentAgain(t *testing.T) {
	b := newBroker(t, "allow_anonymous true")
	b.start()
	s := subscribe(t, b)
	log := newJournal()
	p := publisher(t, Config{Broker: b.url(), Log: slog.New(slog.NewTextHandler(log, nil))})
	run(t, p)
	for round := range 3 {
		b.stop() // writes the subscription down
		b.start()
		s.subscribed()
		log.says(t, "connected to the MQTT broker")
		publish(t, p, Jobs, fmt.Sprint("before ", round))
		s.nextNew()

		begun := time.Now()
		if err := b.process.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		publish(t, p, Jobs, fmt.Sprint("on its way ", round))
		b.kill()
		b.start()
		if got, want := s.nextNew().Payload, fmt.Sprintf("%q", fmt.Sprint("on its way ", round)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if took := time.Since(begun); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		s.subscribed()
	}
}
