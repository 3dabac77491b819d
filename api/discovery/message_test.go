package discovery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// crlf gives the lines as they travel, with the empty line at the end.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

func TestPacketsAsTheyTravel(t *testing.T) {
	const location, server = "http://192.0.2.7:8080/upnp/description.xml", "Hayloft/1.2"
	now := time.Date(2026, 3, 1, 13, 4, 5, 0, time.FixedZone("", 3600))
	asked := search{target: serviceType, subject: serviceName}
	for name, test := range map[string]struct {
		packet []byte
		want   string
	}{
		"alive": {alive(location, server), crlf("NOTIFY * HTTP/1.1", "HOST: 239.255.255.250:1900", "NT: urn:flamenco:manager:0",
			"NTS: ssdp:alive", "USN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0",
			"LOCATION: http://192.0.2.7:8080/upnp/description.xml", "CACHE-CONTROL: max-age=3600", "SERVER: Hayloft/1.2")},
		"byebye": {byebye(), crlf("NOTIFY * HTTP/1.1", "HOST: 239.255.255.250:1900", "NT: urn:flamenco:manager:0",
			"NTS: ssdp:byebye", "USN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0")},
		"answer": {answer(asked, location, server, now), crlf("HTTP/1.1 200 OK", "ST: urn:flamenco:manager:0",
			"NT: urn:flamenco:manager:0", "USN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0",
			"LOCATION: http://192.0.2.7:8080/upnp/description.xml", "CACHE-CONTROL: max-age=3600",
			"DATE: Sun, 01 Mar 2026 12:04:05 GMT", "SERVER: Hayloft/1.2", "EXT: ")},
		"question": {question(), crlf("M-SEARCH * HTTP/1.1", "HOST: 239.255.255.250:1900", `MAN: "ssdp:discover"`, "MX: 3",
			"ST: urn:flamenco:manager:0")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, string(test.packet)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestSearchesThatAreAnswered(t *testing.T) {
	const start, man = "M-SEARCH * HTTP/1.1", `MAN: "ssdp:discover"`
	service := search{target: serviceType, subject: serviceName, within: 3 * time.Second}
	for name, test := range map[string]struct {
		text string
		want search // zero: not answered
	}{
		"service":            {string(question()), service},
		"everything":         {crlf(start, man, "MX: 3", "ST: ssdp:all"), service},
		"device":             {crlf(start, man, "MX: 3", "ST: "+deviceName), search{deviceName, 3 * time.Second, deviceName}},
		"no last line":       {"M-SEARCH * HTTP/1.1\r\n" + man + "\r\nMX: 3\r\nST: " + serviceType, service},
		"bare line ends":     {strings.ReplaceAll(string(question()), "\r", ""), service},
		"lower case":         {crlf(start, "man:\"ssdp:discover\"", "mx:3", "st:"+serviceType), service},
		"stray lines":        {crlf(start, "stray", ": 3", man, "MX: 3", "MX", "ST: "+serviceType), service},
		"bare MAN":           {crlf(start, "MAN: ssdp:discover", "MX: 3", "ST: "+serviceType), service},
		"first value counts": {crlf(start, man, "MX: 3", "MX: 9", "ST: "+serviceType), service},
		"impatient":          {crlf(start, man, "MX: 0", "ST: "+serviceType), search{serviceType, time.Second, serviceName}},
		"patient":            {crlf(start, man, "MX: 999", "ST: "+serviceType), search{serviceType, time.Minute, serviceName}},
		"no MX":              {crlf(start, man, "ST: "+serviceType), search{}},
		"MX in words":        {crlf(start, man, "MX: three", "ST: "+serviceType), search{}},
		"no MAN":             {crlf(start, "MX: 3", "ST: "+serviceType), search{}},
		"other service":      {crlf(start, man, "MX: 3", "ST: urn:flamenco:manager:1"), search{}},
		"other device":       {crlf(start, man, "MX: 3", "ST: upnp:rootdevice"), search{}},
		"a notification":     {string(alive("http://192.0.2.7/", "x")), search{}},
		"an answer":          {string(answer(service, "http://192.0.2.7/", "x", time.Time{})), search{}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := parse([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := p.search()
			if got != test.want || ok != (test.want != search{}) {
				t.Errorf("got %+v, %t; want %+v", got, ok, test.want)
			}
		})
	}
}

func TestLocationsThatAreTaken(t *testing.T) {
	const ok, usn = "HTTP/1.1 200 OK", "USN: " + serviceName
	for name, test := range map[string]struct {
		text string
		want string // empty: not taken
	}{
		"own answer":   {string(answer(search{subject: serviceName}, "http://192.0.2.7:8080/upnp/description.xml", "x", time.Time{})), "http://192.0.2.7:8080/"},
		"other path":   {crlf(ok, usn, "LOCATION: https://farm.example/a/b?c=d#e"), "https://farm.example/"},
		"with a user":  {crlf(ok, usn, "LOCATION: http://me:secret@192.0.2.7/"), "http://192.0.2.7/"},
		"IPv6":         {crlf(ok, usn, "LOCATION: http://[2001:db8::7]:8080/x"), "http://[2001:db8::7]:8080/"},
		"no reason":    {crlf("HTTP/1.1 200", usn, "LOCATION: http://192.0.2.7/"), "http://192.0.2.7/"},
		"device only":  {crlf(ok, "USN: UUID:AA80BC5F-D0AF-46B8-8630-23BD7E80EC4D", "LOCATION: http://192.0.2.7/"), "http://192.0.2.7/"},
		"other device": {crlf(ok, "USN: uuid:bb80bc5f-d0af-46b8-8630-23bd7e80ec4d::"+serviceType, "LOCATION: http://192.0.2.7/"), ""},
		"longer name":  {crlf(ok, "USN: "+deviceName+"0", "LOCATION: http://192.0.2.7/"), ""},
		"no location":  {crlf(ok, usn), ""},
		"a file":       {crlf(ok, usn, "LOCATION: file:///etc/passwd"), ""},
		"no host":      {crlf(ok, usn, "LOCATION: http:///upnp"), ""},
		"only a port":  {crlf(ok, usn, "LOCATION: http://:8080/upnp"), ""},
		"a bad port":   {crlf(ok, usn, "LOCATION: http://192.0.2.7:port/"), ""},
		"announcement": {string(alive("http://192.0.2.7/", "x")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := parse([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			root, taken := p.manager()
			if taken != (test.want != "") || taken && root.String() != test.want {
				t.Errorf("got %v, %t; want %q", root, taken, test.want)
			}
		})
	}
}

func TestMalformedPackets(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"other method":    crlf("GET / HTTP/1.1"),
		"other status":    crlf("HTTP/1.1 404 Not Found"),
		"too many fields": crlf(append([]string{searchLine}, manyFields(maxFields+1)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := parse([]byte(text)); !errors.Is(err, errMalformed) {
				t.Errorf("got %v and the error %v, want %v", p, err, errMalformed)
			}
		})
	}
}

func manyFields(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, "X-"+strings.Repeat("i", i+1)+": 1")
	}
	return lines
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := packet{line: rapid.SampledFrom([]string{searchLine, notifyLine, answerLine}).Draw(t, "line"), fields: map[string]string{}}
		var fields []field
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Z][A-Z0-9-]{0,9}`), 0, maxFields, rapid.ID)
		for _, name := range names.Draw(t, "names") {
			value := rapid.StringMatching(`([!-~]([ -~]{0,20}[!-~])?)?`).Draw(t, "value")
			fields = append(fields, field{name, value})
			want.fields[name] = value
		}
		got, err := parse(write(want.line, fields...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(packet{})); diff != "" {
			t.Errorf("-written +read\n%s", diff)
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add(question())
	f.Add(byebye())
	f.Add(alive("http://192.0.2.7:8080/upnp/description.xml", "Hayloft"))
	f.Add(answer(search{target: serviceType, subject: serviceName}, "http://[::1]:8080/", "Hayloft", time.Time{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parse(data)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Fatalf("the error %v is not %v", err, errMalformed)
			}
			return
		}
		if len(p.fields) > maxFields {
			t.Fatalf("%d fields, more than %d", len(p.fields), maxFields)
		}
		if s, ok := p.search(); ok && (s.within < time.Second || s.within > time.Minute || s.subject == "") {
			t.Fatalf("unbounded search %+v", s)
		}
		root, ok := p.manager()
		if ok && (root.Path != "/" || root.User != nil || root.RawQuery != "" || root.Hostname() == "" || root.Scheme != "http" && root.Scheme != "https") {
			t.Fatalf("%v is not the root of a manager", root)
		}
	})
}
