package mqtt

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func errorAs[E error](err error) (found E, ok bool) {
	ok = errors.As(err, &found)
	return found, ok
}

func TestBrokers(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://broker.example":          "tcp://broker.example:1883",
		"mqtt://broker.example:2000":    "mqtt://broker.example:2000",
		"mqtts://broker.example":        "mqtts://broker.example:8883",
		"tls://[2001:db8::1]":           "tls://[2001:db8::1]:8883",
		"ssl://192.0.2.7:1":             "ssl://192.0.2.7:1",
		"ws://broker.example/mqtt":      "ws://broker.example:80/mqtt",
		"wss://broker.example:444/mqtt": "wss://broker.example:444/mqtt",
	} {
		got, err := parseBroker(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "broker.example", "broker.example:1883", "http://broker.example", "tcp://", "tcp://:1883",
		"tcp://a b", "tcp://me:secret@broker.example"} {
		if got, err := parseBroker(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v and the error %v", text, got, err)
		}
	}
}

func TestTopicPrefixes(t *testing.T) {
	for text, want := range map[string]string{"": "flamenco", "farm": "farm", "a/b/": "a/b", "/": "flamenco"} {
		p, err := New(Config{Broker: "tcp://broker.example", TopicPrefix: text})
		if err != nil || p.prefix != want {
			t.Errorf("%q: got %+v, %v; want %s", text, p, err, want)
		}
	}
	for _, text := range []string{"#", "farm/+", "a\x00b"} {
		if _, err := New(Config{Broker: "tcp://broker.example", TopicPrefix: text}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestOnlyTheFirstAttemptIsMadeAtOnce(t *testing.T) {
	p, err := New(Config{Broker: "tcp://broker.example"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{0, 10 * time.Second, 10 * time.Second} {
		// Attempts count from 0 again after each connection that broke.
		if got := p.config.ReconnectBackoff(0); got != want {
			t.Errorf("attempt %d waits %v, want %v", i, got, want)
		}
	}
}
