package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what a manager tells of itself.
type Config struct {
	// Address is where the manager's HTTP server listens: the address of its listener. An unspecified one (0.0.0.0 or ::)
	// stands for all addresses of this machine; a specific one is told on its own interface only.
	Address netip.AddrPort
	Scheme  string // "http" or "https"

	Interfaces []string // names of network interfaces to speak on; none: all that are up and fit the address
	Server     string   // the product and its version, as in HTTP's Server field, such as "Hayloft/1.2"

	// Delay picks how long an answer waits, from 0 up to below most. Nil picks at random.
	Delay func(most time.Duration) time.Duration
	Log   *slog.Logger // nil: nothing is logged
}

// When a manager announces itself after it started; from then on every [maxAge].
const (
	firstAlive  = time.Second
	secondAlive = 3 * time.Second
)

// maxAnswers is how many answers may wait at the same time. Further searches are dropped: whoever searches asks again.
const maxAnswers = 64

// Advertise announces a manager and answers searches until ctx ends; then it says goodbye and returns nil. A network that
// cannot be used is logged and tried again, so the only errors are those of the configuration.
func Advertise(ctx context.Context, c Config) error {
	return advertise(ctx, c, machine{})
}

func advertise(ctx context.Context, c Config, n network) error {
	if !c.Address.IsValid() || c.Address.Port() == 0 {
		return fmt.Errorf("advertise the manager: %q is not an address with a port", c.Address)
	}
	if c.Scheme != "http" && c.Scheme != "https" {
		return fmt.Errorf("advertise the manager: the scheme is %q, it must be http or https", c.Scheme)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Delay == nil {
		c.Delay = func(most time.Duration) time.Duration { return rand.N(most) } //nolint:gosec // spreads packets, hides nothing
	}
	follower{network: n, choose: c.choose, log: c.Log, stay: func(ctx context.Context, links []link) error {
		return c.stay(ctx, n, links)
	}}.run(ctx)
	return nil
}

// choose keeps the links on which somebody could reach the manager.
func (c Config) choose(links []link) []link {
	addr := c.Address.Addr().Unmap()
	return slices.DeleteFunc(named(links, c.Interfaces), func(l link) bool {
		return !addr.IsUnspecified() && !l.holds(addr)
	})
}

// locations gives the URLs to tell on one of the links.
func (c Config) locations(on link, links []link) []string {
	listening := c.Address.Addr().Unmap()
	var addrs []netip.Addr
	for _, l := range links {
		for _, p := range l.prefixes {
			addr := p.Addr()
			switch {
			case !listening.IsUnspecified() && addr != listening:
			case listening.Is4() && !addr.Is4():
			case addr.Is6() && addr.IsLinkLocalUnicast(): // means something only together with an interface of the reader
			case addr.IsLoopback() && !on.loopback:
			default:
				addrs = append(addrs, addr)
			}
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	var urls []string
	for _, addr := range slices.Compact(addrs) {
		at := url.URL{Scheme: c.Scheme, Host: netip.AddrPortFrom(addr, c.Address.Port()).String(), Path: DescriptionPath}
		urls = append(urls, at.String())
	}
	return urls
}

// stay advertises on the given links until ctx ends.
func (c Config) stay(ctx context.Context, n network, links []link) error {
	ears, err := n.listen(links)
	if err != nil {
		return err
	}
	mouths, err := openAll(ctx, n, links, c.Log)
	if err != nil {
		return errors.Join(err, ears.Close())
	}
	defer closeAll(mouths)
	a := &advertiser{Config: c, links: links, mouths: mouths}
	a.answers.SetLimit(maxAnswers)

	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { <-ctx.Done(); return ears.Close() })
	work.Go(func() error { a.announce(ctx); return nil })
	work.Go(func() error {
		return hear(ctx, ears, func(p packet, from netip.AddrPort) { a.consider(ctx, p, from) })
	})
	err = work.Wait()
	err = errors.Join(err, a.answers.Wait())
	a.toAll(func(mouth) [][]byte { return [][]byte{byebye()} })
	return err
}

// advertiser is the manager's side while the links stay what they are.
type advertiser struct {
	Config
	links   []link
	mouths  []mouth
	answers errgroup.Group
}

// toAll sends the packets of each link to the group. One that is lost is made good by the next: SSDP promises nothing.
func (a *advertiser) toAll(packets func(on mouth) [][]byte) {
	for _, m := range a.mouths {
		for _, data := range packets(m) {
			if _, err := m.WriteToUDPAddrPort(data, group); err != nil {
				a.Log.Debug("discovery packet could not be sent", "interface", m.name, "error", err)
			}
		}
	}
}

func (a *advertiser) announce(ctx context.Context) {
	timer := time.NewTimer(firstAlive)
	defer timer.Stop()
	for next := secondAlive - firstAlive; ; next = maxAge {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		timer.Reset(next)
		a.toAll(func(on mouth) [][]byte {
			var packets [][]byte
			for _, location := range a.locations(on.link, a.links) {
				packets = append(packets, alive(location, a.Server))
			}
			return packets
		})
	}
}

// consider answers a packet if it is a search for managers from a network that a link is in.
func (a *advertiser) consider(ctx context.Context, p packet, from netip.AddrPort) {
	asked, ok := p.search()
	at := slices.IndexFunc(a.mouths, func(m mouth) bool { return m.reaches(from.Addr().Unmap()) })
	if !ok || at < 0 {
		return
	}
	delay := a.Delay(asked.within)
	accepted := a.answers.TryGo(func() error {
		a.answer(ctx, asked, a.mouths[at], from, delay)
		return nil
	})
	if !accepted {
		a.Log.Debug("a search was dropped: too many answers wait", "from", from)
	}
}

func (a *advertiser) answer(ctx context.Context, asked search, through mouth, to netip.AddrPort, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	for _, location := range a.locations(through.link, a.links) {
		if _, err := through.WriteToUDPAddrPort(answer(asked, location, a.Server, time.Now()), to); err != nil {
			a.Log.Debug("answer to a search could not be sent", "to", to, "error", err)
			return
		}
	}
}
