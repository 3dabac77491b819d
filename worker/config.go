package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hayloft/api/wire"
)

const (
	defaultWait   = 30 * time.Second
	maxWait       = 60 * time.Second
	defaultOutbox = 256 << 20
)

// Bounds of [Config.Performance].
const (
	MinPerformance = 0.001
	MaxPerformance = 1000
)

// DefaultTaskTypes are the task types that an agent offers unless told otherwise.
var DefaultTaskTypes = []string{"blender", "ffmpeg", "file-management", "misc"}

// Config says who the agent is and how it works. ManagerURL, DataDir and Name are required.
type Config struct {
	ManagerURL string   // such as http://farm.example:8080
	DataDir    string   // private to one agent: credentials, outbox, staged frames
	Name       string   // shown to people; need not be unique
	Tags       []string // names of tags to carry; nil keeps what the manager has stored
	TaskTypes  []string // by default DefaultTaskTypes
	Software   string   // name and version, such as Hayloft/1.0.0; also the User-Agent
	Blender    string   // the Blender to ask what it can do; by default the manager's variable 'blender', else the one on PATH
	CanRestart bool     // whether something starts the agent again after ErrRestart
	// Performance is how many times faster than a worker with 1 this one is, for jobs that are shared by speed, until the
	// manager has measured it: MinPerformance to MaxPerformance; 0 stands for 1.
	Performance float64

	Wait        time.Duration // how long a manager may hold a request; 30 s by default, at most 60 s
	Silence     time.Duration // longest time a process may run without output; zero means no limit
	Total       time.Duration // longest time for one task; zero means no limit
	OutboxLimit int64         // bytes of unacknowledged updates kept on disk; 256 MiB by default

	Logger *slog.Logger         // by default slog.Default()
	HTTP   wire.HttpRequestDoer // by default a client with its own connections
}

// timing holds the waits that are not the user's business.
type timing struct {
	poll        time.Duration // between two requests for work or state at a manager that does not hold them
	mayRunPoll  time.Duration // the same for may-i-run
	mayRunAfter time.Duration // first may-i-run of a task; shorter tasks never ask
	linger      time.Duration // how long a log line may wait for company
	grace       time.Duration // between asking a process to end and killing it
	flush       time.Duration // for delivering the outbox when the agent stops
	signOff     time.Duration // for signing off
	preview     time.Duration // for the last preview of a task
	backoffMin  time.Duration
	backoffMax  time.Duration
}

var defaultTiming = timing{
	poll: 5 * time.Second, mayRunPoll: 10 * time.Second, mayRunAfter: time.Second, linger: time.Second, grace: 2 * time.Second,
	flush: 5 * time.Second, signOff: 3 * time.Second, preview: 2 * time.Second, backoffMin: 100 * time.Millisecond, backoffMax: 10 * time.Second,
}

// complete checks a configuration and fills in what was left open.
func (c Config) complete() (Config, error) {
	var err error
	u, urlErr := url.Parse(c.ManagerURL)
	switch {
	case urlErr != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		err = fmt.Errorf("manager address %q is not a URL such as http://farm.example:8080", c.ManagerURL)
	case c.DataDir == "":
		err = errors.New("no data directory given: the worker needs one of its own for credentials and unsent updates")
	case strings.TrimSpace(c.Name) == "":
		err = errors.New("no worker name given")
	case c.Wait < 0 || c.Silence < 0 || c.Total < 0 || c.OutboxLimit < 0:
		err = errors.New("waits and limits cannot be negative")
	case c.Performance != 0 && !(c.Performance >= MinPerformance && c.Performance <= MaxPerformance): // so that it refuses NaN
		err = fmt.Errorf("a performance of %v is not between %v and %v: 1 is an ordinary worker, 2 one that is twice as fast",
			c.Performance, MinPerformance, float64(MaxPerformance))
	}
	if err != nil {
		return c, fmt.Errorf("configure worker: %w", err)
	}
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return c, fmt.Errorf("configure worker: %w", err)
	}
	c.Wait = min(cmp.Or(c.Wait, defaultWait), maxWait)
	c.OutboxLimit = cmp.Or(c.OutboxLimit, defaultOutbox)
	c.Performance = cmp.Or(c.Performance, 1)
	c.Software = cmp.Or(c.Software, "Hayloft")
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if len(c.TaskTypes) == 0 {
		c.TaskTypes = DefaultTaskTypes
	}
	c.TaskTypes = slices.Clone(c.TaskTypes)
	for i, t := range c.TaskTypes {
		c.TaskTypes[i] = strings.ToLower(strings.TrimSpace(t))
	}
	return c, nil
}

// newHTTPClient gives a client without a time limit of its own: held requests are long by intention, and every call
// carries its limit in its context.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 4
	return &http.Client{Transport: transport}
}
