package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"hayloft/api/wire"
)

// Client talks to one manager. It may be used by many goroutines.
type Client struct {
	manager string
	wire    *wire.ClientWithResponses
	http    *http.Client
	agent   string
	traffic *traffic

	generation atomic.Pointer[string]
}

// New makes a client of the manager at a URL such as "http://farm:8080"; the scheme may be left out. agent is sent as
// User-Agent, for example "Hayloft/1.0". It does not connect.
func New(manager, agent string, options ...Option) (*Client, error) {
	if !strings.Contains(manager, "://") {
		manager = "http://" + manager
	}
	parsed, err := url.Parse(manager)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return nil, fmt.Errorf("%q is not the address of a manager; write it like http://farm:8080", manager)
	}
	watched := &traffic{}
	for _, option := range options {
		option(watched)
	}
	c := &Client{manager: parsed.Scheme + "://" + parsed.Host, http: newHTTPClient(watched), agent: agent, traffic: watched}
	c.wire, err = wire.NewClientWithResponses(c.manager, wire.WithHTTPClient(c.http), wire.WithRequestEditorFn(c.introduce))
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", c.manager, err)
	}
	return c, nil
}

// newHTTPClient bounds the parts of a request that have no reason to be long. There is no limit on the whole, since requests
// may be held and bodies may be long.
func newHTTPClient(watched *traffic) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           watched.dial(&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}),
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		WriteBufferSize:       256 << 10,
		ReadBufferSize:        64 << 10,
	}}
}

// Address is the manager's URL, without a path.
func (c *Client) Address() string { return c.manager }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) introduce(_ context.Context, r *http.Request) error {
	r.Header.Set("User-Agent", c.agent)
	return nil
}

// expect checks the status of an answer; all but the wanted ones become an error that says what was attempted. The caller
// closes the body of an answer that it gets.
func expect(what string, resp *http.Response, err error, wanted ...int) (*http.Response, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, unreachable(err))
	}
	if slices.Contains(wanted, resp.StatusCode) {
		return resp, nil
	}
	defer drain(resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, unreachable(err))
	}
	return nil, fmt.Errorf("%s: %w", what, parseError(resp.StatusCode, body))
}

// maxErrorBody bounds how much of an error's body is read, in bytes.
const maxErrorBody = 1 << 20

// decode reads the JSON body of an answer 200.
func decode[T any](what string, resp *http.Response, err error) (T, error) {
	if resp, err = expect(what, resp, err, http.StatusOK); err != nil {
		var none T
		return none, err
	}
	return decodeBody[T](what, resp)
}

// decodeBody reads a JSON body and closes it.
func decodeBody[T any](what string, resp *http.Response) (value T, err error) {
	defer drain(resp)
	body := &countingReader{from: resp.Body}
	err = json.NewDecoder(body).Decode(&value)
	switch {
	case body.failed != nil:
		return value, fmt.Errorf("%s: %w", what, unreachable(body.failed))
	case err != nil:
		return value, fmt.Errorf("%s: the answer is not what a Hayloft manager sends: %w", what, err)
	}
	return value, nil
}

// done checks an answer without a body.
func done(what string, resp *http.Response, err error, wanted ...int) error {
	resp, err = expect(what, resp, err, wanted...)
	if err == nil {
		drain(resp)
	}
	return err
}

// drain reads the little that is left of a body, so that the connection can be used again, and closes it.
func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
}

// unreachable gives transport errors their meaning; a context that ended stays what it is.
func unreachable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
