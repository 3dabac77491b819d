package discovery

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent is a datagram with the time at which it was sent, since the network was made.
type sent struct {
	At       time.Duration
	From, To netip.AddrPort
	Text     string
}

// segment is a network of several hosts that loses nothing and takes no time. Its clock is the one of the test.
type segment struct {
	start time.Time

	mu      sync.Mutex
	sockets []*socket
	log     []sent
	ports   uint16
}

func newSegment() *segment { return &segment{start: time.Now(), ports: 40000} }

func (s *segment) add(k *socket) *socket {
	k.segment, k.inbox, k.closed = s, make(chan sent, 1024), make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports++
	if k.addr.Port() == 0 {
		k.addr = netip.AddrPortFrom(k.addr.Addr(), s.ports)
	}
	s.sockets = append(s.sockets, k)
	return k
}

// packets gives what was sent so far.
func (s *segment) packets() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sent(nil), s.log...)
}

// socket is one end on a segment.
type socket struct {
	segment *segment
	addr    netip.AddrPort
	member  bool // of the group
	inbox   chan sent
	closed  chan struct{}
	once    sync.Once
}

func (k *socket) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-k.inbox:
		return copy(b, d.Text), d.From, nil
	case <-k.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (k *socket) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	s := k.segment
	s.mu.Lock()
	defer s.mu.Unlock()
	d := sent{At: time.Since(s.start), From: k.addr, To: to, Text: string(b)}
	s.log = append(s.log, d)
	for _, other := range s.sockets {
		if other.addr == to || other.member && to == group {
			select {
			case other.inbox <- d:
			default: // a network may lose packets
			}
		}
	}
	return len(b), nil
}

func (k *socket) Close() error {
	k.once.Do(func() { close(k.closed) })
	return nil
}

// host is a machine on a segment.
type host struct {
	segment *segment

	mu  sync.Mutex
	has []link
	bad error // what listening gives
}

func (h *host) links() ([]link, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]link(nil), h.has...), nil
}

func (h *host) change(bad error, links ...link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.has, h.bad = links, bad
}

func (h *host) listen([]link) (datagrams, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bad != nil {
		return nil, h.bad
	}
	return h.segment.add(&socket{addr: group, member: true}), nil
}

func (h *host) open(_ context.Context, on link) (datagrams, error) {
	addr, _ := on.source()
	return h.segment.add(&socket{addr: netip.AddrPortFrom(addr, 0)}), nil
}

func cable(name string, index int, prefixes ...string) link {
	l := link{name: name, index: index}
	for _, text := range prefixes {
		prefix := netip.MustParsePrefix(text)
		l.prefixes = append(l.prefixes, prefix)
		l.loopback = l.loopback || prefix.Addr().IsLoopback()
	}
	return l
}
