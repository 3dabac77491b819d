package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// ErrNotFound means that no usable manager was found before the search ended. It comes together with the context's error.
var ErrNotFound = errors.New("no manager was found on the local network")

// Search says how a worker looks for a manager.
type Search struct {
	// Usable checks a URL that was found, such as http://192.0.2.7:8080/, by asking it. It must return when its context
	// ends, which it does after 10 s at the latest. It is called for several URLs at the same time.
	Usable func(ctx context.Context, root *url.URL) error

	Interfaces []string     // names of network interfaces to search on; none: all that are up
	Log        *slog.Logger // nil: nothing is logged
}

// Timing and bounds of a search.
const (
	askEvery   = time.Second
	probeTime  = 10 * time.Second
	probeAgain = 5 * time.Second // a manager that starts up is found before it can be used
	maxFound   = 32              // different URLs; further ones are ignored
)

// Find asks once a second who is a manager, checks every URL that is named in an answer as soon as it comes, and returns
// the first that is usable. It ends with ctx at the latest, and gives [ErrNotFound] with what was wrong with each URL.
func Find(ctx context.Context, s Search) (*url.URL, error) {
	return find(ctx, s, machine{})
}

func find(ctx context.Context, s Search, n network) (*url.URL, error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	found := make(chan *url.URL)
	searching, end := context.WithCancel(ctx)
	var work errgroup.Group
	defer work.Wait() //nolint:errcheck // none of its functions returns an error
	defer end()
	choose := func(links []link) []link { return named(links, s.Interfaces) }
	work.Go(func() error {
		follower{network: n, choose: choose, log: s.Log, stay: func(ctx context.Context, links []link) error {
			return ask(ctx, n, links, s.Log, found)
		}}.run(searching)
		return nil
	})
	p := prober{usable: s.Usable, log: s.Log, done: make(chan probed), known: map[string]*candidate{}}
	return p.choose(searching, &work, found)
}

// ask searches on the given links until ctx ends and hands over what answers name.
func ask(ctx context.Context, n network, links []link, log *slog.Logger, found chan<- *url.URL) error {
	mouths, err := openAll(ctx, n, links, log)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { <-ctx.Done(); closeAll(mouths); return nil })
	for _, m := range mouths {
		work.Go(func() error {
			return hear(ctx, m, func(p packet, _ netip.AddrPort) {
				if root, ok := p.manager(); ok {
					select {
					case found <- root:
					case <-ctx.Done():
					}
				}
			})
		})
	}
	work.Go(func() error {
		again := time.NewTicker(askEvery)
		defer again.Stop()
		for {
			for _, m := range mouths {
				if _, err := m.WriteToUDPAddrPort(question(), group); err != nil && ctx.Err() == nil {
					log.Debug("search could not be sent", "interface", m.name, "error", err)
				}
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return work.Wait()
}

// candidate is a URL that was found.
type candidate struct {
	probing bool
	ended   time.Time // of the last check
	err     error     // what was wrong
}

// probed is the result of a check.
type probed struct {
	root *url.URL
	err  error
}

// prober checks what is found, everything at once.
type prober struct {
	usable func(ctx context.Context, root *url.URL) error
	log    *slog.Logger
	done   chan probed
	known  map[string]*candidate
}

func (p *prober) choose(ctx context.Context, work *errgroup.Group, found <-chan *url.URL) (*url.URL, error) {
	for {
		select {
		case root := <-found:
			if p.wants(root) {
				work.Go(func() error { p.probe(ctx, root); return nil })
			}
		case result := <-p.done:
			if result.err == nil {
				return result.root, nil
			}
			p.log.Debug("a manager was found that cannot be used", "url", result.root.String(), "error", result.err)
			*p.known[result.root.String()] = candidate{ended: time.Now(), err: result.err}
		case <-ctx.Done():
			return nil, p.nothing(ctx)
		}
	}
}

// wants tells whether a URL is to be checked now, and notes that it is.
func (p *prober) wants(root *url.URL) bool {
	c, ok := p.known[root.String()]
	switch {
	case !ok && len(p.known) >= maxFound:
		return false
	case !ok:
		c = &candidate{}
		p.known[root.String()] = c
	case c.probing || time.Since(c.ended) < probeAgain:
		return false
	}
	c.probing = true
	return true
}

func (p *prober) probe(ctx context.Context, root *url.URL) {
	probing, end := context.WithTimeout(ctx, probeTime)
	defer end()
	result := probed{root: root, err: p.usable(probing, root)}
	select {
	case p.done <- result:
	case <-ctx.Done():
	}
}

func (p *prober) nothing(ctx context.Context) error {
	err := fmt.Errorf("%w (%w); give the manager's URL to the worker", ErrNotFound, context.Cause(ctx))
	var tried []string
	for _, root := range slices.Sorted(maps.Keys(p.known)) {
		if c := p.known[root]; c.err != nil {
			tried = append(tried, fmt.Sprintf("%s: %v", root, c.err))
		} else {
			tried = append(tried, root+": did not answer in time")
		}
	}
	if len(tried) == 0 {
		return err
	}
	return fmt.Errorf("%w, since what was found cannot be used: %s", err, strings.Join(tried, "; "))
}
