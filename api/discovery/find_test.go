package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// respond answers each question on a segment with the given packets, the way managers do, until the test ends.
func respond(t *testing.T, s *segment, from string, packets ...[]byte) {
	t.Helper()
	ears := s.add(&socket{addr: group, member: true})
	mouth := s.add(&socket{addr: netip.MustParseAddrPort(from)})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, maxPacket)
		for {
			n, asking, err := ears.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if string(buffer[:n]) == string(question()) {
				for _, p := range packets {
					mouth.WriteToUDPAddrPort(p, asking)
				}
			}
		}
	}()
	t.Cleanup(func() {
		ears.Close()
		<-ended
	})
}

// answerOf gives the answer of a manager at an address.
func answerOf(address string) []byte {
	return answer(search{target: serviceType, subject: serviceName}, "http://"+address+DescriptionPath, "x", time.Time{})
}

func TestTheFirstUsableManagerWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		respond(t, s, "192.0.2.50:1900",
			answerOf("192.0.2.50:8080"), answerOf("198.51.100.9:8080"), answerOf("192.0.2.51:8080"), answerOf("203.0.113.1:8080"))
		var mu sync.Mutex
		asked := map[string]time.Duration{}
		usable := func(ctx context.Context, root *url.URL) error {
			mu.Lock()
			asked[root.String()] = time.Since(s.start)
			mu.Unlock()
			answers := map[string]time.Duration{"192.0.2.51:8080": 2 * time.Second, "192.0.2.50:8080": 1500 * time.Millisecond}
			after, there := answers[root.Host]
			if root.Host == "198.51.100.9:8080" {
				return errors.New("no Flamenco here")
			}
			if !there {
				after = time.Hour
			}
			select {
			case <-time.After(after):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		got, err := find(t.Context(), Search{Usable: usable}, &host{segment: s, has: []link{wired}})
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != "http://192.0.2.50:8080/" || time.Since(s.start) != 1500*time.Millisecond {
			t.Errorf("found %s after %v", got, time.Since(s.start))
		}
		want := map[string]time.Duration{
			"http://192.0.2.50:8080/": 0, "http://198.51.100.9:8080/": 0, "http://192.0.2.51:8080/": 0, "http://203.0.113.1:8080/": 0,
		}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("checked when: -want +got\n%s", diff)
		}
	})
}

func TestQuestionsAreAskedEachSecondOnEachLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		ctx, end := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer end()
		usable := func(context.Context, *url.URL) error { return nil }
		_, err := find(ctx, Search{Usable: usable}, &host{segment: s, has: []link{loop, wired}})
		if !errors.Is(err, ErrNotFound) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got the error %v", err)
		}
		var got []string
		for _, p := range s.packets() {
			if p.Text != string(question()) {
				t.Errorf("a worker sent %q", p.Text)
			}
			got = append(got, fmt.Sprintf("%v %s %s", p.At, p.From.Addr(), p.To))
		}
		var want []string
		for _, at := range []string{"0s", "1s", "2s"} {
			want = append(want, at+" 127.0.0.1 239.255.255.250:1900", at+" 192.0.2.7 239.255.255.250:1900")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestWhoIsNoManagerIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		printer := strings.ReplaceAll(string(answerOf("192.0.2.60:80")), deviceName, "uuid:00000000-0000-4000-8000-000000000000")
		respond(t, s, "192.0.2.60:1900", []byte(printer), []byte("HTTP/1.1 200 OK"), []byte{0}, alive("http://192.0.2.61/", "x"))
		ctx, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		usable := func(_ context.Context, root *url.URL) error {
			t.Errorf("%s was checked", root)
			return nil
		}
		if _, err := find(ctx, Search{Usable: usable}, &host{segment: s, has: []link{wired}}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got the error %v", err)
		}
	})
}

func TestAManagerThatStartsUpIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		respond(t, s, "192.0.2.50:1900", answerOf("192.0.2.50:8080"))
		var tries []time.Duration
		usable := func(context.Context, *url.URL) error {
			tries = append(tries, time.Since(s.start))
			if len(tries) < 3 {
				return errors.New("still starting")
			}
			return nil
		}
		if _, err := find(t.Context(), Search{Usable: usable}, &host{segment: s, has: []link{wired}}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]time.Duration{0, 5 * time.Second, 10 * time.Second}, tries); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestAFailedSearchSaysWhatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		respond(t, s, "192.0.2.50:1900", answerOf("192.0.2.50:8080"), answerOf("192.0.2.51:8080"))
		ctx, end := context.WithTimeout(t.Context(), 8*time.Second)
		defer end()
		usable := func(ctx context.Context, root *url.URL) error {
			if root.Host == "192.0.2.50:8080" {
				return errors.New("it speaks another protocol")
			}
			<-ctx.Done()
			return ctx.Err()
		}
		_, err := find(ctx, Search{Usable: usable}, &host{segment: s, has: []link{wired}})
		want := "no manager was found on the local network (context deadline exceeded); give the manager's URL to the worker, " +
			"since what was found cannot be used: http://192.0.2.50:8080/: it speaks another protocol; " +
			"http://192.0.2.51:8080/: did not answer in time"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}

func TestASearchTakesSoManyURLsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		var all [][]byte
		for i := range 3 * maxFound {
			all = append(all, answerOf(fmt.Sprintf("192.0.2.50:%d", 8000+i)))
		}
		respond(t, s, "192.0.2.50:1900", all...)
		ctx, end := context.WithTimeout(t.Context(), 4*time.Second)
		defer end()
		var mu sync.Mutex
		asked := 0
		usable := func(context.Context, *url.URL) error {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return errors.New("no")
		}
		if _, err := find(ctx, Search{Usable: usable}, &host{segment: s, has: []link{wired}}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got the error %v", err)
		}
		if asked != maxFound {
			t.Errorf("%d URLs were checked, want %d", asked, maxFound)
		}
	})
}

func TestASearchWaitsForTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment()
		respond(t, s, "192.0.2.50:1900", answerOf("192.0.2.50:8080"))
		h := &host{segment: s}
		time.AfterFunc(12*time.Second, func() { h.change(nil, wired) })
		_, err := find(t.Context(), Search{Usable: func(context.Context, *url.URL) error { return nil }}, h)
		if err != nil || time.Since(s.start) != 15*time.Second {
			t.Errorf("ended after %v with the error %v", time.Since(s.start), err)
		}
	})
}
