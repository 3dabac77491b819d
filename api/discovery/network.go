package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
)

// link is a network interface that is up.
type link struct {
	name     string
	index    int
	loopback bool
	prefixes []netip.Prefix // its addresses, each with the network it lies in
}

// source is the address that packets on the link come from.
func (l link) source() (netip.Addr, bool) {
	at := slices.IndexFunc(l.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() })
	if at < 0 {
		return netip.Addr{}, false
	}
	return l.prefixes[at].Addr(), true
}

// reaches tells whether an address lies in a network of the link.
func (l link) reaches(addr netip.Addr) bool {
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// holds tells whether an address is one of the link's own.
func (l link) holds(addr netip.Addr) bool {
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Addr() == addr })
}

func (l link) equal(other link) bool {
	return l.name == other.name && l.index == other.index && slices.Equal(l.prefixes, other.prefixes)
}

// named keeps the links with the given names, or all of them if none is given.
func named(links []link, names []string) []link {
	return slices.DeleteFunc(links, func(l link) bool { return len(names) > 0 && !slices.Contains(names, l.name) })
}

// datagrams is an open socket of UDP. [net.UDPConn] is one.
type datagrams interface {
	ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (n int, err error)
	io.Closer
}

// network is what this package needs of the machine.
type network interface {
	links() ([]link, error)
	// listen hears what is sent to the group on the links.
	listen(links []link) (datagrams, error)
	// open gives a socket whose packets leave on one link, and which hears what comes back to it.
	open(ctx context.Context, on link) (datagrams, error)
}

// machine is the network of this machine.
type machine struct{}

func (machine) links() ([]link, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var links []link
	for _, i := range interfaces {
		// The loopback interface carries packets to a group without saying so in its flags.
		if i.Flags&net.FlagUp == 0 || i.Flags&(net.FlagMulticast|net.FlagLoopback) == 0 {
			continue
		}
		l := link{name: i.Name, index: i.Index, loopback: i.Flags&net.FlagLoopback != 0}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has gone since the list was made
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				l.prefixes = append(l.prefixes, prefix)
			}
		}
		if _, ok := l.source(); ok {
			links = append(links, l)
		}
	}
	return links, nil
}

func (machine) listen(links []link) (datagrams, error) {
	var conn *net.UDPConn
	var joined *ipv4.PacketConn
	var problems []error
	for _, l := range links {
		on, err := net.InterfaceByIndex(l.index)
		switch {
		case err != nil:
		case conn == nil:
			// The port is shared with other programs that take part in SSDP.
			if conn, err = net.ListenMulticastUDP("udp4", on, net.UDPAddrFromAddrPort(group)); err == nil {
				joined = ipv4.NewPacketConn(conn)
			}
		default:
			err = joined.JoinGroup(on, net.UDPAddrFromAddrPort(group))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("listen for %s on %s: %w", group, l.name, err))
		}
	}
	if conn == nil {
		return nil, errors.Join(problems...)
	}
	// Windows asks the receiver whether packets of the same machine are to be heard, others the sender.
	if err := joined.SetMulticastLoopback(true); err != nil {
		return nil, fmt.Errorf("hear this machine's own packets: %w", errors.Join(err, conn.Close()))
	}
	return conn, nil
}

// hops is the TTL that UPnP recommends: the own network, and one router that forwards groups.
const hops = 2

func (machine) open(ctx context.Context, on link) (datagrams, error) {
	from, ok := on.source()
	if !ok {
		return nil, fmt.Errorf("send on %s: the interface has no IPv4 address", on.name)
	}
	var config net.ListenConfig
	packets, err := config.ListenPacket(ctx, "udp4", netip.AddrPortFrom(from, 0).String())
	if err != nil {
		return nil, fmt.Errorf("send on %s: %w", on.name, err)
	}
	conn := packets.(*net.UDPConn) // what ListenPacket gives for udp4
	out := ipv4.NewPacketConn(conn)
	device, err := net.InterfaceByIndex(on.index)
	if err == nil {
		err = errors.Join(out.SetMulticastInterface(device), out.SetMulticastTTL(hops), out.SetMulticastLoopback(true))
	}
	if err != nil {
		return nil, fmt.Errorf("send to the group on %s: %w", on.name, errors.Join(err, conn.Close()))
	}
	return conn, nil
}

// lookEvery is how often the interfaces are looked at: a laptop changes networks, and a server may start before its
// network does.
const lookEvery = 5 * time.Second

// follower keeps something running on the links of a machine.
type follower struct {
	network network
	choose  func([]link) []link
	log     *slog.Logger
	stay    func(ctx context.Context, links []link) error // runs until its context ends
}

// run calls stay with the chosen links, and anew each time they change, until ctx ends. What fails is tried again.
func (f follower) run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	told := ""
	for ctx.Err() == nil {
		links, err := f.look()
		if err == nil {
			err = f.during(ctx, links, look.C)
		}
		if err == nil || ctx.Err() != nil {
			told = ""
			continue
		}
		if told != err.Error() {
			told = err.Error()
			f.log.Warn("discovery does not work on this network for now", "error", err)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

func (f follower) look() ([]link, error) {
	links, err := f.network.links()
	if err != nil {
		return nil, err
	}
	if links = f.choose(links); len(links) == 0 {
		return nil, errors.New("no network interface fits; see the address and the interfaces in the configuration")
	}
	return links, nil
}

// during runs stay until the links are others than the given ones, which is no error.
func (f follower) during(ctx context.Context, links []link, look <-chan time.Time) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- f.stay(ctx, links) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-look:
			if now, err := f.look(); err != nil || !slices.EqualFunc(now, links, link.equal) {
				end()
				return errors.Join(err, <-ended)
			}
		}
	}
}

// openAll opens a socket on each link. A link that cannot be used is left out; if none can, that is an error.
func openAll(ctx context.Context, n network, links []link, log *slog.Logger) ([]mouth, error) {
	var mouths []mouth
	var problems []error
	for _, l := range links {
		conn, err := n.open(ctx, l)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		mouths = append(mouths, mouth{link: l, datagrams: conn})
	}
	if len(mouths) == 0 {
		return nil, errors.Join(problems...)
	}
	for _, err := range problems {
		log.Debug("an interface is left out of discovery", "error", err)
	}
	return mouths, nil
}

// mouth is a link with the socket that speaks on it.
type mouth struct {
	link
	datagrams
}

func closeAll(mouths []mouth) {
	for _, m := range mouths {
		m.Close()
	}
}

// hear hands each packet that can be read to take, until the socket is closed at the end of ctx.
func hear(ctx context.Context, conn datagrams, take func(p packet, from netip.AddrPort)) error {
	buffer := make([]byte, maxPacket)
	for ctx.Err() == nil {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("receive discovery packets: %w", err)
		}
		if p, err := parse(buffer[:n]); err == nil {
			take(p, from)
		}
	}
	return nil
}
