package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hayloft/api"
	"hayloft/api/wire"
)

// conversations are the recorded ones, in testdata/conversations, and what is special about the farms that they are with.
var conversations = map[string][]farmOption{
	"worker": nil, "addon": nil, "page": nil, "answers": nil,
	"no-shaman": {func(c *api.Config) { c.ShamanEnabled = ptr(false) }},
	"settings":  {withTwoWay, withConfigFile},
}

// TestConversations holds the manager to what clients send, and what they are to get.
func TestConversations(t *testing.T) {
	for name, options := range conversations {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, options...)
			c := conversation{farm: f, known: f.known()}
			t.Setenv("PATH", filepath.Dir(c.known["blender"]))
			for _, turn := range readTurns(t, name) {
				c.take(t, turn)
			}
		})
	}
}

// TestConversationsLeaveNothingOut wants that the conversations speak of every operation that a client of Flamenco may
// call.
func TestConversationsLeaveNothingOut(t *testing.T) {
	heard := map[string]bool{}
	for name := range conversations {
		for _, turn := range readTurns(t, name) {
			r := try(http.NewRequest(turn.method, knownName.ReplaceAllString(turn.path, uuid.NewString()), nil))(t)
			if route, _, err := contractRouter(t).FindRoute(r); err == nil {
				heard[route.Operation.OperationID] = true
			}
		}
	}
	doc := try(openapi3.NewLoader().LoadFromFile("openapi.yaml"))(t)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Extensions["x-hayloft"] == nil && !heard[op.OperationID] {
				t.Errorf("no conversation has %s %s", method, path)
			}
		}
	}
}

// known are the values that a conversation may use before it learned any.
func (f *farm) known() map[string]string {
	var frame bytes.Buffer
	must(f.t, png.Encode(&frame, picture(64, 48)))
	blender := filepath.Join(f.t.TempDir(), "blender")
	must(f.t, os.WriteFile(blender, []byte("#!/bin/sh\necho Blender 4.2.0\n"), 0o700))
	return map[string]string{"storage": f.storage, "unknown": uuid.NewString(), "png": frame.String(), "blender": blender}
}

// turn is one request and what the answer must be.
type turn struct {
	line         int // in the file
	method, path string
	headers      []string // name, value, name, value
	body         string
	status       int
	kind         string   // of the answer: the media type, json for application/json, or - for none
	answered     []string // headers of the answer: name, value
	answer       string
}

var headerLine = regexp.MustCompile(`^([A-Z][A-Za-z-]+):(?: (.*))?$`)

// readTurns reads a conversation. Turns are separated by empty lines:
//
//	METHOD PATH
//	Header: value
//	body
//	=> STATUS KIND
//	Header: value
//	answer
//
// What follows a # at the beginning of a line is for people.
func readTurns(t *testing.T, name string) []turn {
	t.Helper()
	file := filepath.Join("testdata", "conversations", name+".http")
	var turns []turn
	line := 1
	for block := range strings.SplitSeq(string(try(os.ReadFile(file))(t)), "\n\n") {
		first := line
		line += strings.Count(block, "\n") + 2
		lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(block), "\n"), func(l string) bool { return strings.HasPrefix(l, "#") })
		at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "=> ") })
		if len(lines) == 0 || lines[0] == "" {
			continue
		}
		if at < 1 {
			t.Fatalf("%s:%d: a turn has a request, and a line that begins with =>", file, first)
		}
		one := turn{line: first}
		_, err := fmt.Sscanf(lines[0]+" "+lines[at], "%s %s => %d %s", &one.method, &one.path, &one.status, &one.kind)
		must(t, err)
		one.headers, one.body = cutHeaders(lines[1:at])
		one.answered, one.answer = cutHeaders(lines[at+1:])
		turns = append(turns, one)
	}
	return turns
}

func cutHeaders(lines []string) (headers []string, rest string) {
	for len(lines) > 0 {
		match := headerLine.FindStringSubmatch(lines[0])
		if match == nil {
			break
		}
		headers, lines = append(headers, match[1], match[2]), lines[1:]
	}
	return headers, strings.Join(lines, "\n")
}

// conversation is what was learned so far.
type conversation struct {
	farm  *farm
	known map[string]string
}

var knownName = regexp.MustCompile(`\$\{(\w+)\}`)

// fill puts known values in the place of their names.
func (c *conversation) fill(text string) string {
	return knownName.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := c.known[name[2:len(name)-1]]
		if !ok {
			c.farm.t.Errorf("nobody said what %s is", name)
		}
		return value
	})
}

func (c *conversation) take(t *testing.T, turn turn) {
	t.Helper()
	resp, body := c.send(turn)
	text := strings.TrimSpace(string(body))
	where := fmt.Sprintf("line %d: %s %s\n  answered %d %s\n  %s", turn.line, turn.method, c.fill(turn.path), resp.StatusCode, resp.Header.Get("Content-Type"), text)
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if kind = strings.TrimPrefix(kind, "application/"); kind == "" {
		kind = "-"
	}
	if resp.StatusCode != turn.status || kind != turn.kind {
		t.Fatalf("%s\n  wanted %d %s", where, turn.status, turn.kind)
	}
	for i := 0; i < len(turn.answered); i += 2 {
		if got, want := resp.Header.Get(turn.answered[i]), c.fill(turn.answered[i+1]); got != want {
			t.Errorf("%s\n  header %s is %q, wanted %q", where, turn.answered[i], got, want)
		}
	}
	if err := c.compare(text, turn.answer); err != nil {
		t.Errorf("%s\n  wanted %s\n  %v", where, turn.answer, err)
	}
}

// send sends a request. A body is JSON unless a header says otherwise; Authorization is a worker's name and a secret, and
// Transfer-Encoding hides the length of the body.
func (c *conversation) send(turn turn) (*http.Response, []byte) {
	var body io.Reader = strings.NewReader(c.fill(turn.body))
	headers := []string{}
	if turn.body != "" {
		headers = []string{"Content-Type", "application/json"}
	}
	for i := 0; i < len(turn.headers); i += 2 {
		name, value := turn.headers[i], c.fill(turn.headers[i+1])
		switch name {
		case "Authorization":
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(value))
		case "Transfer-Encoding":
			body = io.MultiReader(body)
			continue
		}
		headers = append(headers, name, value)
	}
	return c.farm.do(turn.method, c.fill(turn.path), body, headers...)
}

// compare wants that an answer is as described: empty, "~ " and a part of it, or JSON of that shape.
func (c *conversation) compare(text, wanted string) error {
	part, partly := strings.CutPrefix(wanted, "~ ")
	switch part = c.fill(part); {
	case wanted == "" && text != "":
		return fmt.Errorf("it is not empty")
	case wanted == "":
		return nil
	case partly && !strings.Contains(text, part) && !strings.Contains(canonical(text), part):
		return fmt.Errorf("the part is not in it")
	case partly:
		return nil
	}
	var got, shape any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(wanted), &shape); err != nil {
		return fmt.Errorf("the conversation: %w", err)
	}
	return c.fits("", got, shape)
}

// fits compares a value with a shape: an object has exactly the members of its shape, unless the shape has one named
// "..."; a list has as many items, unless the last is "..."; see [conversation.fitsText] for texts.
func (c *conversation) fits(place string, got, shape any) error {
	switch shape := shape.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, wanted an object", place, got)
		}
		return c.fitsObject(place, object, shape)
	case []any:
		list, ok := got.([]any)
		if n := len(shape) - 1; ok && n >= 0 && shape[n] == "..." {
			shape, list = shape[:n], list[:min(n, len(list))]
		}
		if !ok || len(list) != len(shape) {
			return fmt.Errorf("%s is %v, wanted a list of %d", place, got, len(shape))
		}
		for i := range shape {
			if err := c.fits(fmt.Sprintf("%s/%d", place, i), list[i], shape[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		return c.fitsText(place, got, shape)
	}
	if diff := cmp.Diff(shape, got); diff != "" {
		return fmt.Errorf("%s differs (-want +got):\n%s", place, diff)
	}
	return nil
}

func (c *conversation) fitsObject(place string, got, shape map[string]any) error {
	_, open := shape["..."]
	for name := range got {
		if _, ok := shape[name]; !ok && !open {
			return fmt.Errorf("%s has %q, which nobody wanted", place, name)
		}
	}
	for name, wanted := range shape {
		value, ok := got[name]
		switch {
		case name == "...":
			continue
		case !ok:
			return fmt.Errorf("%s has no %q", place, name)
		}
		if err := c.fits(place+"/"+name, value, wanted); err != nil {
			return err
		}
	}
	return nil
}

var slot = regexp.MustCompile(`^<(uuid|time|text|number|has)(?: (.*))?>$`)

// fitsText compares with a text. <uuid NAME> is any UUID and remembers it; <time> is a time as of RFC 3339 in UTC;
// <text NAME> is any text; <number> any number; <has WORDS> a text with these words.
func (c *conversation) fitsText(place string, got any, shape string) error {
	match := slot.FindStringSubmatch(shape)
	text, isText := got.(string)
	if match == nil {
		if want := c.fill(shape); got != want {
			return fmt.Errorf("%s is %v, wanted %q", place, got, want)
		}
		return nil
	}
	var err error
	switch match[1] {
	case "uuid":
		_, err = uuid.Parse(text)
	case "time":
		_, err = time.Parse("2006-01-02T15:04:05.999999999Z", text)
	case "number":
		if _, isText = got.(float64); !isText {
			err = strconv.ErrSyntax
		}
	case "has":
		if !strings.Contains(text, c.fill(match[2])) {
			err = strconv.ErrSyntax
		}
	}
	if err != nil || !isText {
		return fmt.Errorf("%s is %v, wanted %s", place, got, shape)
	}
	if match[2] != "" && match[1] != "has" {
		c.known[match[2]] = text
	}
	return nil
}

// canonical writes a JSON object with its members in alphabetical order, which the order on the wire need not be.
func canonical(text string) string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		return text
	}
	return string(sorted)
}

func TestVersionFollowsTheClient(t *testing.T) {
	f := newFarm(t)
	for agent, want := range map[string]string{
		"Flamenco/3.7 (Blender add-on)":       "3.7",
		"Flamenco/3.9-beta1 (Blender add-on)": "3.9-beta1",
		"Flamenco/3.8 (abc123)":               "3.8",
		"Flamenco/3.8 (Blender add-on) x":     "3.8",
		"Flamenco/<b>3.8</b> (abc123)":        "3.9-beta1",
		"Flamenco/3.8":                        "3.9-beta1",
		"curl/8.5.0":                          "3.9-beta1",
		"":                                    "3.9-beta1",
	} {
		var version wire.FlamencoVersion
		f.json("GET", "/api/v3/version", nil, &version, http.StatusOK, "User-Agent", agent)
		if version.Shortversion != want {
			t.Errorf("%s is told %s, want %s", agent, version.Shortversion, want)
		}
	}
}
