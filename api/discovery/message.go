package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Names of a manager. The device is the same for all managers: what tells them apart is where they are.
const (
	serviceType = "urn:flamenco:manager:0"
	deviceName  = "uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d"
	serviceName = deviceName + "::" + serviceType
)

// DescriptionPath is where an advertisement says that the manager describes itself; see [Description].
const DescriptionPath = "/upnp/description.xml"

// maxAge is how long an advertisement holds.
const maxAge = time.Hour

// Limits of a packet from outside. Datagrams of SSDP stay below the size of one Ethernet frame.
const (
	maxPacket = 2048 // bytes; the rest of a longer one is cut off
	maxFields = 64
)

// group is the address of all who take part in SSDP.
var group = netip.MustParseAddrPort("239.255.255.250:1900")

var errMalformed = errors.New("malformed SSDP packet")

// The three kinds of packets, by their first line.
const (
	searchLine = "M-SEARCH * HTTP/1.1"
	notifyLine = "NOTIFY * HTTP/1.1"
	answerLine = "HTTP/1.1 200 OK"
)

// packet is a parsed message: HTTP's first line and header fields, without a body.
type packet struct {
	line   string            // one of the three first lines
	fields map[string]string // by upper-case name; of a field that is given twice, the first value
}

// parse reads a packet. Line ends without carriage return, lines that are no field and a missing last empty line do no harm.
func parse(data []byte) (packet, error) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	p := packet{line: strings.TrimRight(string(first), " \r"), fields: map[string]string{}}
	if strings.HasPrefix(p.line, "HTTP/1.1 200") {
		p.line = answerLine // the reason phrase is free
	}
	if p.line != searchLine && p.line != notifyLine && p.line != answerLine {
		return packet{}, fmt.Errorf("%w: first line %.80q", errMalformed, p.line)
	}
	for line := range bytes.Lines(rest) {
		text := strings.TrimSpace(string(line))
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		name = strings.ToUpper(strings.TrimSpace(name))
		if _, given := p.fields[name]; !ok || given {
			continue
		}
		if len(p.fields) == maxFields {
			return packet{}, fmt.Errorf("%w: more than %d fields", errMalformed, maxFields)
		}
		p.fields[name] = strings.TrimSpace(value)
	}
	return p, nil
}

// search is a question that a manager answers.
type search struct {
	target  string        // what the answer repeats as ST
	within  time.Duration // answers are spread over this time, so that they do not come all at once
	subject string        // the USN of the answer
}

// Bounds of MX. UPnP has a device ignore a search without it.
const (
	leastWait = 1
	mostWait  = 60
)

// search reads a packet as a question for a manager; ok is false for everything else.
func (p packet) search() (s search, ok bool) {
	seconds, err := strconv.Atoi(p.fields["MX"])
	if p.line != searchLine || strings.Trim(p.fields["MAN"], `"`) != "ssdp:discover" || err != nil {
		return search{}, false
	}
	s.target = p.fields["ST"]
	s.within = time.Duration(min(max(seconds, leastWait), mostWait)) * time.Second
	switch {
	case s.target == "ssdp:all":
		s.target, s.subject = serviceType, serviceName
	case s.target == serviceType:
		s.subject = serviceName
	case strings.EqualFold(s.target, deviceName):
		s.subject = deviceName
	default:
		return search{}, false
	}
	return s, true
}

// manager reads a packet as a manager's answer and gives the root of its URL; ok is false for everything else.
func (p packet) manager() (root *url.URL, ok bool) {
	device, _, _ := strings.Cut(p.fields["USN"], "::")
	if p.line != answerLine || !strings.EqualFold(device, deviceName) {
		return nil, false
	}
	location, err := url.Parse(p.fields["LOCATION"])
	if err != nil || location.Scheme != "http" && location.Scheme != "https" || location.Hostname() == "" {
		return nil, false
	}
	return &url.URL{Scheme: location.Scheme, Host: location.Host, Path: "/"}, true
}

// field is a header field in the order in which it is sent.
type field struct{ name, value string }

func write(line string, fields ...field) []byte {
	var out bytes.Buffer
	out.WriteString(line + "\r\n")
	for _, f := range fields {
		out.WriteString(f.name + ": " + f.value + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

func cacheControl() string { return fmt.Sprintf("max-age=%d", int(maxAge.Seconds())) }

// alive says that a manager is there (UPnP Device Architecture 1.1, section 1.2.2).
func alive(location, server string) []byte {
	return write(notifyLine, field{"HOST", group.String()}, field{"NT", serviceType}, field{"NTS", "ssdp:alive"},
		field{"USN", serviceName}, field{"LOCATION", location}, field{"CACHE-CONTROL", cacheControl()}, field{"SERVER", server})
}

// byebye says that a manager leaves (section 1.2.3 there).
func byebye() []byte {
	return write(notifyLine, field{"HOST", group.String()}, field{"NT", serviceType}, field{"NTS", "ssdp:byebye"},
		field{"USN", serviceName})
}

// answer replies to a search (section 1.3.3 there). NT repeats ST for readers that know the fields of notifications only.
func answer(to search, location, server string, now time.Time) []byte {
	return write(answerLine, field{"ST", to.target}, field{"NT", to.target}, field{"USN", to.subject},
		field{"LOCATION", location}, field{"CACHE-CONTROL", cacheControl()},
		field{"DATE", now.UTC().Format(http.TimeFormat)}, field{"SERVER", server}, field{"EXT", ""})
}

// question asks for managers (section 1.3.2 there), which may take up to 3 s to answer.
func question() []byte {
	return write(searchLine, field{"HOST", group.String()}, field{"MAN", `"ssdp:discover"`}, field{"MX", "3"},
		field{"ST", serviceType})
}
