package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// Config says where to publish. The names of the keys in flamenco-manager.yaml, below mqtt.client, stand beside the fields.
type Config struct {
	Broker      string // broker: a URL with the scheme mqtt, tcp, mqtts, ssl, tls, ws or wss
	ClientID    string // clientID; empty: "flamenco"
	TopicPrefix string // topic_prefix, without a slash at its end; empty: "flamenco"
	Username    string // username; empty: none is sent
	Password    string // password

	Reconnect time.Duration // from a broken connection to the next attempt; 0: 10 s
	Log       *slog.Logger  // nil: nothing is logged
}

const (
	defaultName      = "flamenco"
	defaultReconnect = 10 * time.Second
	keepAlive        = 30          // seconds
	sendAgain        = time.Second // after a failure that leaves the connection up
	drainTime        = 2 * time.Second
	atLeastOnce      = 1 // quality of service
)

// defaultPorts are those that IANA has assigned to MQTT; for web sockets the port is part of the URL or that of HTTP.
var defaultPorts = map[string]string{
	"mqtt": "1883", "tcp": "1883", "mqtts": "8883", "ssl": "8883", "tls": "8883", "ws": "80", "wss": "443",
}

// Publisher sends messages to a broker. [New] makes it, [Publisher.Run] keeps it going.
type Publisher struct {
	config  autopaho.ClientConfig
	prefix  string
	log     *slog.Logger
	waiting *queue

	connected     atomic.Bool
	largest       atomic.Uint32 // packet that the broker takes, in bytes; 0: any
	sent, refused atomic.Uint64

	mu       sync.Mutex
	giveUp   context.CancelFunc // ends the wait for an acknowledgement
	problem  string             // the last that was logged
	reported uint64             // how many dropped messages were logged
}

// New checks a configuration and connects to nothing yet.
func New(c Config) (*Publisher, error) {
	broker, err := parseBroker(c.Broker)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimRight(c.TopicPrefix, "/")
	if prefix == "" {
		prefix = defaultName
	}
	if strings.ContainsAny(prefix, "+#\x00") {
		return nil, fmt.Errorf("the MQTT topic prefix %q must not contain + or #, which stand for many topics", c.TopicPrefix)
	}
	if c.ClientID == "" {
		c.ClientID = defaultName
	}
	if c.Reconnect == 0 {
		c.Reconnect = defaultReconnect
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Publisher{prefix: prefix, log: c.Log.With("broker", broker.Redacted()), waiting: newQueue()}
	p.config = autopaho.ClientConfig{
		ServerUrls: []*url.URL{broker}, KeepAlive: keepAlive,
		CleanStartOnInitialConnection: true,
		ConnectUsername:               c.Username, ConnectPassword: []byte(c.Password),
		ReconnectBackoff: delays(c.Reconnect),
		OnConnectionUp:   p.up, OnConnectionDown: p.down,
		OnConnectError: func(err error) { p.trouble("the MQTT broker cannot be reached", err) },
		ClientConfig: paho.ClientConfig{
			ClientID: c.ClientID, OnClientError: func(err error) { p.trouble("the connection to the MQTT broker broke", err) },
			OnServerDisconnect: func(d *paho.Disconnect) {
				p.trouble("the MQTT broker ended the connection", fmt.Errorf("reason code %#02x", d.ReasonCode))
			},
		},
	}
	return p, nil
}

func parseBroker(text string) (*url.URL, error) {
	broker, err := url.Parse(text)
	if err != nil || broker.Hostname() == "" || defaultPorts[broker.Scheme] == "" {
		return nil, fmt.Errorf("%q is not the URL of an MQTT broker; give one such as tcp://broker.example:1883", text)
	}
	if broker.User != nil {
		return nil, errors.New("the URL of the MQTT broker holds a user name; give it as username and password instead")
	}
	if broker.Port() == "" {
		broker.Host = net.JoinHostPort(broker.Hostname(), defaultPorts[broker.Scheme])
	}
	return broker, nil
}

// delays lets the first attempt start at once and each later one wait: also the first after a connection broke, since two
// clients with one name would else throw each other out as fast as they can.
func delays(reconnect time.Duration) func(attempt int) time.Duration {
	var started atomic.Bool
	return func(int) time.Duration {
		if !started.Swap(true) {
			return 0
		}
		return reconnect
	}
}

// Publish queues a payload, written as JSON, to be sent to a topic. It does not wait; the error is that of a payload that
// has no JSON form.
func (p *Publisher) Publish(topic Topic, payload any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("write message for the topic %s: %w", topic, err)
	}
	p.waiting.add(topic, data)
	return nil
}

// Stats counts messages since the start.
type Stats struct {
	Connected bool
	Waiting   int    // queued, including the one on its way
	Sent      uint64 // acknowledged by the broker
	Dropped   uint64 // since the queue was full
	Refused   uint64 // by the broker
}

// Stats tells how publishing goes.
func (p *Publisher) Stats() Stats {
	waiting, dropped := p.waiting.counts()
	return Stats{
		Connected: p.connected.Load(), Waiting: waiting, Sent: p.sent.Load(), Dropped: dropped, Refused: p.refused.Load(),
	}
}

// Run sends what is published until ctx ends, then what is still queued if the broker is there, and disconnects. What is
// published after ctx ended may stay behind, so the parts that publish are to be ended first. It is called once.
func (p *Publisher) Run(ctx context.Context) error {
	sending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	conn, err := autopaho.NewConnection(sending, p.config)
	if err != nil {
		return fmt.Errorf("publish to the MQTT broker: %w", err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		p.limitDrain(ctx, sending, end)
	}()
	p.pump(ctx, sending, conn)
	end()
	<-conn.Done()
	<-drained
	p.connected.Store(false)
	return nil
}

// limitDrain ends sending soon after ctx ended, or at once if nobody is there to send to.
func (p *Publisher) limitDrain(ctx, sending context.Context, end func()) {
	select {
	case <-ctx.Done():
	case <-sending.Done():
		return
	}
	if p.connected.Load() {
		timer := time.NewTimer(drainTime)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-sending.Done():
		}
	}
	end()
}

// pump sends in order, one message at a time, so that a subscriber never sees a state before the one that preceded it.
func (p *Publisher) pump(ctx, sending context.Context, conn *autopaho.ConnectionManager) {
	for p.waiting.wait(ctx) {
		// The head is taken only now: while there is no connection it changes.
		if conn.AwaitConnection(sending) != nil {
			return
		}
		m, ok := p.waiting.head()
		if !ok {
			continue
		}
		if p.send(sending, conn, m) {
			p.waiting.remove(m)
			continue
		}
		if !p.connected.Load() {
			continue
		}
		timer := time.NewTimer(sendAgain)
		select {
		case <-timer.C:
		case <-sending.Done():
		}
		timer.Stop()
	}
}

// framing is more than the parts of a packet beside topic and payload take, in bytes (MQTT 5, section 3.3).
const framing = 16

// send reports whether a message is done with: acknowledged, or refused for good.
func (p *Publisher) send(ctx context.Context, conn *autopaho.ConnectionManager, m message) bool {
	topic := p.prefix + string(m.topic)
	// A broker answers a packet that is too large by cutting the connection, each time anew.
	if size, most := len(topic)+len(m.payload)+framing, p.largest.Load(); most > 0 && size > int(most) {
		p.refused.Add(1)
		p.trouble("a message is too large for the MQTT broker", fmt.Errorf("topic %s: %d bytes, more than %d", m.topic, size, most))
		return true
	}
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	p.mu.Lock()
	p.giveUp = giveUp
	p.mu.Unlock()
	answer, err := conn.Publish(ctx, &paho.Publish{QoS: atLeastOnce, Topic: topic, Payload: m.payload})
	switch {
	case err == nil:
		p.sent.Add(1)
		return true
	case answer != nil || errors.Is(err, paho.ErrInvalidArguments):
		p.refused.Add(1)
		p.trouble("the MQTT broker refused a message", fmt.Errorf("topic %s: %w", m.topic, err))
		return true
	}
	return false
}

func (p *Publisher) up(_ *autopaho.ConnectionManager, answer *paho.Connack) {
	p.largest.Store(0)
	if answer.Properties != nil && answer.Properties.MaximumPacketSize != nil {
		p.largest.Store(*answer.Properties.MaximumPacketSize)
	}
	p.connected.Store(true)
	_, dropped := p.waiting.counts()
	p.mu.Lock()
	lost := dropped - p.reported
	p.problem, p.reported = "", dropped
	p.mu.Unlock()
	p.log.Info("connected to the MQTT broker", "dropped", lost)
}

// down lets a message whose acknowledgement was lost with the connection go back to where it waits.
func (p *Publisher) down() bool {
	p.connected.Store(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.giveUp != nil {
		p.giveUp()
	}
	return true
}

// trouble logs a problem, once for as long as it stays the same.
func (p *Publisher) trouble(what string, err error) {
	p.mu.Lock()
	text := what + err.Error()
	again := p.problem == text
	p.problem = text
	p.mu.Unlock()
	if !again {
		p.log.Warn(what, "error", err)
	}
}
