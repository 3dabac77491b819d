package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	loop  = cable("lo", 1, "127.0.0.1/8", "::1/128")
	wired = cable("eth0", 2, "192.0.2.7/24", "2001:db8::7/64", "fe80::7/64")
	radio = cable("wlan0", 3, "198.51.100.7/24")
)

func managerAt(address string) Config {
	return Config{
		Address: netip.MustParseAddrPort(address), Scheme: "http", Server: "Hayloft/1.2",
		Delay: func(most time.Duration) time.Duration { return most / 4 },
	}
}

// start runs a manager on a host until the returned function is called, which waits for its end.
func start(t *testing.T, c Config, h *host) (stop func()) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- advertise(ctx, c, h) }()
	synctest.Wait()
	return func() {
		end()
		if err := <-ended; err != nil {
			t.Errorf("the manager's side ended with %v", err)
		}
	}
}

// passed lets time go by, and what happens in it.
func passed(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// told lists who announced what when, as text.
func told(packets []sent) []string {
	var lines []string
	for _, s := range packets {
		p, err := parse([]byte(s.Text))
		if err != nil {
			panic(err)
		}
		if s.To != group {
			continue
		}
		line := fmt.Sprintf("%v %s %s", s.At, s.From.Addr(), p.fields["NTS"])
		if location := p.fields["LOCATION"]; location != "" {
			line += " " + location
		}
		lines = append(lines, line)
	}
	return lines
}

func TestAnnouncementsComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{segment: newSegment(), has: []link{wired}}
		stop := start(t, managerAt("192.0.2.7:8080"), h)
		passed(2*time.Hour + 10*time.Second)
		stop()
		const url = "http://192.0.2.7:8080/upnp/description.xml"
		want := []string{
			"1s 192.0.2.7 ssdp:alive " + url, "3s 192.0.2.7 ssdp:alive " + url, "1h0m3s 192.0.2.7 ssdp:alive " + url,
			"2h0m3s 192.0.2.7 ssdp:alive " + url, "2h0m10s 192.0.2.7 ssdp:byebye",
		}
		if diff := cmp.Diff(want, told(h.segment.packets())); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestEachLinkHearsTheURLsThatFitIt(t *testing.T) {
	const on = ":8080/upnp/description.xml"
	for name, test := range map[string]struct {
		address    string
		interfaces []string
		want       []string
	}{
		"everywhere": {"[::]:8080", nil, []string{
			"1s 127.0.0.1 ssdp:alive http://127.0.0.1" + on, "1s 127.0.0.1 ssdp:alive http://192.0.2.7" + on,
			"1s 127.0.0.1 ssdp:alive http://198.51.100.7" + on, "1s 127.0.0.1 ssdp:alive http://[::1]" + on,
			"1s 127.0.0.1 ssdp:alive http://[2001:db8::7]" + on,
			"1s 192.0.2.7 ssdp:alive http://192.0.2.7" + on, "1s 192.0.2.7 ssdp:alive http://198.51.100.7" + on,
			"1s 192.0.2.7 ssdp:alive http://[2001:db8::7]" + on,
			"1s 198.51.100.7 ssdp:alive http://192.0.2.7" + on, "1s 198.51.100.7 ssdp:alive http://198.51.100.7" + on,
			"1s 198.51.100.7 ssdp:alive http://[2001:db8::7]" + on,
		}},
		"IPv4 only": {"0.0.0.0:8080", []string{"eth0", "wlan0"}, []string{
			"1s 192.0.2.7 ssdp:alive http://192.0.2.7" + on, "1s 192.0.2.7 ssdp:alive http://198.51.100.7" + on,
			"1s 198.51.100.7 ssdp:alive http://192.0.2.7" + on, "1s 198.51.100.7 ssdp:alive http://198.51.100.7" + on,
		}},
		"one address":      {"198.51.100.7:8080", nil, []string{"1s 198.51.100.7 ssdp:alive http://198.51.100.7" + on}},
		"this machine":     {"127.0.0.1:8080", nil, []string{"1s 127.0.0.1 ssdp:alive http://127.0.0.1" + on}},
		"one interface":    {"[::]:8080", []string{"wlan0"}, []string{"1s 198.51.100.7 ssdp:alive http://198.51.100.7" + on}},
		"not here at all":  {"203.0.113.7:8080", nil, nil},
		"not on this link": {"192.0.2.7:8080", []string{"wlan0"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{segment: newSegment(), has: []link{loop, wired, radio}}
				c := managerAt(test.address)
				c.Interfaces = test.interfaces
				stop := start(t, c, h)
				passed(2 * time.Second)
				got := told(h.segment.packets())
				stop()
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		})
	}
}

// answers gives when, from where and to where answers went, and what they name.
func answers(packets []sent) []string {
	var lines []string
	for _, s := range packets {
		if p, err := parse([]byte(s.Text)); err == nil && p.line == answerLine {
			lines = append(lines, fmt.Sprintf("%v %s %s %s %s", s.At, s.From.Addr(), s.To, p.fields["ST"], p.fields["LOCATION"]))
		}
	}
	return lines
}

func TestAnswersGoToWhoAskedAfterADelay(t *testing.T) {
	const on = ":8080/upnp/description.xml"
	for name, test := range map[string]struct {
		from string
		text string
		want []string
	}{
		"a neighbour": {"192.0.2.50:777", string(question()), []string{
			"750ms 192.0.2.7 192.0.2.50:777 urn:flamenco:manager:0 http://192.0.2.7" + on,
			"750ms 192.0.2.7 192.0.2.50:777 urn:flamenco:manager:0 http://[2001:db8::7]" + on}},
		"the same machine": {"127.0.0.1:777", string(question()), []string{
			"750ms 127.0.0.1 127.0.0.1:777 urn:flamenco:manager:0 http://127.0.0.1" + on,
			"750ms 127.0.0.1 127.0.0.1:777 urn:flamenco:manager:0 http://192.0.2.7" + on,
			"750ms 127.0.0.1 127.0.0.1:777 urn:flamenco:manager:0 http://[::1]" + on,
			"750ms 127.0.0.1 127.0.0.1:777 urn:flamenco:manager:0 http://[2001:db8::7]" + on}},
		"who has time": {"192.0.2.50:777", crlf(searchLine, `MAN: "ssdp:discover"`, "MX: 60", "ST: ssdp:all"), []string{
			"15s 192.0.2.7 192.0.2.50:777 urn:flamenco:manager:0 http://192.0.2.7" + on,
			"15s 192.0.2.7 192.0.2.50:777 urn:flamenco:manager:0 http://[2001:db8::7]" + on}},
		"from far away":   {"203.0.113.9:777", string(question()), nil},
		"something else":  {"192.0.2.50:777", crlf(searchLine, `MAN: "ssdp:discover"`, "MX: 1", "ST: upnp:rootdevice"), nil},
		"an announcement": {"192.0.2.50:777", string(alive("http://192.0.2.50/", "x")), nil},
		"noise":           {"192.0.2.50:777", "\x00\xff", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{segment: newSegment(), has: []link{loop, wired}}
				stop := start(t, managerAt("[::]:8080"), h)
				asking := h.segment.add(&socket{addr: netip.MustParseAddrPort(test.from)})
				asking.WriteToUDPAddrPort([]byte(test.text), group)
				passed(time.Minute)
				stop()
				if diff := cmp.Diff(test.want, answers(h.segment.packets())); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		})
	}
}

func TestAFloodOfSearchesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{segment: newSegment(), has: []link{wired}}
		stop := start(t, managerAt("192.0.2.7:8080"), h)
		asking := h.segment.add(&socket{addr: netip.MustParseAddrPort("192.0.2.50:777")})
		for range 10 * maxAnswers {
			asking.WriteToUDPAddrPort(question(), group)
		}
		passed(time.Minute)
		if got := len(answers(h.segment.packets())); got != maxAnswers {
			t.Errorf("%d answers to a flood, want %d", got, maxAnswers)
		}
		asking.WriteToUDPAddrPort(question(), group)
		passed(time.Minute)
		stop()
		if got := len(answers(h.segment.packets())); got != maxAnswers+1 {
			t.Errorf("%d answers after the flood, want one more than %d", got, maxAnswers)
		}
	})
}

func TestAManagerFollowsItsMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{segment: newSegment()} // started before the network
		c := managerAt("0.0.0.0:8080")
		stop := start(t, c, h)
		passed(12 * time.Second)
		h.change(nil, wired)
		passed(10 * time.Second)
		h.change(errors.New("the radio is not ready"), radio)
		passed(10 * time.Second)
		h.change(nil, radio)
		passed(10 * time.Second)
		stop()
		got := told(h.segment.packets())
		want := []string{
			"16s 192.0.2.7 ssdp:alive http://192.0.2.7:8080/upnp/description.xml",
			"18s 192.0.2.7 ssdp:alive http://192.0.2.7:8080/upnp/description.xml",
			"25s 192.0.2.7 ssdp:byebye",
			"36s 198.51.100.7 ssdp:alive http://198.51.100.7:8080/upnp/description.xml",
			"38s 198.51.100.7 ssdp:alive http://198.51.100.7:8080/upnp/description.xml",
			"42s 198.51.100.7 ssdp:byebye",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestNothingElseIsSentToAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{segment: newSegment(), has: []link{loop, wired, radio}}
		stop := start(t, managerAt("[::]:8080"), h)
		asking := h.segment.add(&socket{addr: netip.MustParseAddrPort("192.0.2.50:777")})
		asking.WriteToUDPAddrPort(question(), group)
		passed(2 * time.Hour)
		stop()
		targets := map[netip.AddrPort]bool{}
		for _, s := range h.segment.packets() {
			targets[s.To] = true
		}
		if len(targets) != 2 || !targets[group] || !targets[asking.addr] {
			t.Errorf("packets went to %v, want the group and %v only", targets, asking.addr)
		}
	})
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	for name, c := range map[string]Config{
		"no address": {Scheme: "http"},
		"no port":    {Address: netip.MustParseAddrPort("192.0.2.7:0"), Scheme: "http"},
		"no scheme":  {Address: netip.MustParseAddrPort("192.0.2.7:8080")},
		"ftp":        {Address: netip.MustParseAddrPort("192.0.2.7:8080"), Scheme: "ftp"},
	} {
		if err := Advertise(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDelaysAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{segment: newSegment(), has: []link{wired}}
		c := managerAt("192.0.2.7:8080")
		c.Delay = nil
		stop := start(t, c, h)
		asking := h.segment.add(&socket{addr: netip.MustParseAddrPort("192.0.2.50:777")})
		for range maxAnswers {
			asking.WriteToUDPAddrPort(question(), group)
		}
		passed(3 * time.Second)
		stop()
		var times []time.Duration
		for _, s := range h.segment.packets() {
			if s.To == asking.addr {
				times = append(times, s.At)
			}
		}
		if len(times) != maxAnswers || slices.Max(times) >= 3*time.Second || slices.Max(times)-slices.Min(times) < time.Second {
			t.Errorf("%d answers at %v; want %d, spread over less than 3 s", len(times), times, maxAnswers)
		}
	})
}
