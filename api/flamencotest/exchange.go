package flamencotest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 20

// Exchange is one request and what came of it.
type Exchange struct {
	Method, Path string        // the path without /api/v3
	Status       int           // 0 when no answer came
	Took         time.Duration // from sending until the whole answer was read
}

// Fault takes one complaint, formatted as of package fmt. It may be called by several goroutines.
type Fault func(format string, args ...any)

// caller sends requests to a manager.
type caller struct {
	base    string // with /api/v3, without a slash at the end
	agent   string // User-Agent
	http    *http.Client
	observe func(Exchange)
}

func newCaller(manager, agent string, client *http.Client, observe func(Exchange)) caller {
	if observe == nil {
		observe = func(Exchange) {}
	}
	return caller{base: strings.TrimRight(manager, "/") + "/api/v3", agent: agent, http: client, observe: observe}
}

// message is a request in the making.
type message struct {
	method, path string
	body         []byte
	contentType  string
	header       map[string]string
	user, secret string
}

// asJSON gives a POST with a JSON body.
func asJSON(path string, body any) message {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("flamencotest: a body that does not encode: %v", err)) // the bodies are types of this package
	}
	return message{method: http.MethodPost, path: path, body: encoded, contentType: "application/json"}
}

// answer is a whole answer.
type answer struct {
	request string // method and path
	status  int
	header  http.Header
	body    []byte
}

// call sends a request. Its error says that no HTTP answer came.
func (c caller) call(ctx context.Context, m message) (answer, error) {
	began := time.Now()
	a, err := c.exchange(ctx, m)
	c.observe(Exchange{Method: m.method, Path: m.path, Status: a.status, Took: time.Since(began)})
	return a, err
}

func (c caller) exchange(ctx context.Context, m message) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, m.method, c.base+m.path, bytes.NewReader(m.body))
	if err != nil {
		return answer{}, fmt.Errorf("make request %s %s: %w", m.method, m.path, err)
	}
	request.Header.Set("User-Agent", c.agent)
	if m.contentType != "" {
		request.Header.Set("Content-Type", m.contentType)
	}
	for name, value := range m.header {
		request.Header.Set(name, value)
	}
	if m.user != "" {
		request.SetBasicAuth(m.user, m.secret)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer to %s %s: %w", m.method, m.path, err)
	}
	return answer{request: m.method + " " + m.path, status: response.StatusCode, header: response.Header, body: body}, nil
}

// saysJSON is how the worker decides whether to decode a body (section 1).
func (a answer) saysJSON() bool { return strings.Contains(a.header.Get("Content-Type"), "json") }

// read decodes a body as the worker does: only with a content type that says JSON.
func (a answer) read(want shape, target any) error {
	if !a.saysJSON() {
		return fmt.Errorf("its content type is %q, so its body would be ignored", a.header.Get("Content-Type"))
	}
	return decode(a.body, want, target)
}

// empty says what is wrong with an answer that must have no body.
func (a answer) empty() error {
	if len(a.body) > 0 {
		return fmt.Errorf("it has a body: %.200q", a.body)
	}
	return nil
}

func (a answer) String() string { return fmt.Sprintf("%s: %d %.300q", a.request, a.status, a.body) }
