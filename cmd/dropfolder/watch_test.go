package dropfolder

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// clock stands still but for what a test does.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	asked chan alarm
}

type alarm struct {
	after time.Duration
	ring  chan time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1e9, 0), asked: make(chan alarm, 1000)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	a := alarm{d, make(chan time.Time, 1)}
	c.asked <- a
	return a.ring
}

// next waits until somebody waits for time to pass.
func (c *clock) next(t *testing.T) alarm {
	t.Helper()
	select {
	case a := <-c.asked:
		return a
	case <-t.Context().Done():
		t.Fatal("nobody waits")
		return alarm{}
	}
}

// pass lets time pass and wakes who waited.
func (c *clock) pass(a alarm, d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	now := c.now
	c.mu.Unlock()
	a.ring <- now
}

// drive lets time pass for whoever waits, until there is what the test wants.
func (c *clock) drive(t *testing.T, until func() bool) {
	t.Helper()
	for {
		a := c.next(t)
		if until() {
			c.asked <- a // It goes on waiting.
			return
		}
		c.pass(a, a.after)
	}
}

// watchFolder runs until the test ends, or stop is called.
func watchFolder(t *testing.T, dir, manager string, c *clock) (stop func()) {
	t.Helper()
	m, err := client.New(manager, "dropfolder-test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Dir: dir, Manager: m, Limits: smallUnpacked(), Now: c.Now, After: c.After})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watching ended with %v", err)
		}
		m.Close()
	})
	t.Cleanup(stop)
	return stop
}

func smallUnpacked() Limits { return Limits{Unpacked: 8 << 20} }

func TestGrowingDropWaits(t *testing.T) {
	t.Parallel()
	f, dir, c := startFarm(t), t.TempDir(), newClock()
	content := zipFolder(t, filepath.Join(scenes(t), "project"))
	file, err := os.Create(filepath.Join(dir, "shot.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	watchFolder(t, dir, f.url, c)
	const pieces = 5
	for i := range pieces {
		a := c.next(t)
		if jobs := f.jobsOf(t); len(jobs) > 0 || exists(filepath.Join(dir, "shot.zip"+errorSuffix)) {
			t.Fatalf("the file was taken after %d pieces: %v", i, jobs)
		}
		if _, err := file.Write(content[len(content)*i/pieces : len(content)*(i+1)/pieces]); err != nil {
			t.Fatal(err)
		}
		c.pass(a, 9*time.Second)
	}
	c.drive(t, func() bool { return len(f.jobsOf(t)["shot.zip"]) == 1 })
	job := f.jobsOf(t)["shot.zip"][0]
	settings := *job.Settings
	if settings["frames"] != "1-4" || settings["format"] != "PNG" || settings["fps"] != 24.0 || settings["scene"] != "Scene" ||
		settings["chunk_size"] != 1.0 || (*job.Metadata)[metadataEngine] != "CYCLES" || job.Name != "shot" {
		t.Errorf("the job is %+v %+v", job, settings)
	}
}

func TestSettling(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := settling{quiet: 10 * time.Second, seen: map[string]sight{}}
		now := time.Unix(1e9, 0)
		changed, stamp := now, ""
		for range rapid.IntRange(1, 50).Draw(r, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12).Draw(r, "seconds")) * time.Second)
			if next := rapid.SampledFrom([]string{"a", "b"}).Draw(r, "stamp"); next != stamp {
				stamp, changed = next, now
			}
			if got, want := s.look("drop", stamp, now), stamp != "" && now.Sub(changed) >= s.quiet; got != want {
				r.Fatalf("settled: %v, want %v, %v after a change was seen", got, want, now.Sub(changed))
			}
		}
	})
}

func TestBadDropIsExplainedUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	f, dir, c := startFarm(t), t.TempDir(), newClock()
	good := zipFolder(t, filepath.Join(scenes(t), "project"))
	sentence := filepath.Join(dir, "shot.zip"+errorSuffix)
	archives := badArchives(t)
	put(t, filepath.Join(dir, "shot.zip"), archives["up and out"].archive)
	put(t, filepath.Join(dir, "lone.blend"), []byte("no scene"))
	put(t, filepath.Join(dir, "old.rar"), []byte("Rar!"))
	put(t, filepath.Join(dir, "notes.txt"), []byte("not for the farm"))
	put(t, filepath.Join(dir, "cut.zip"), good[:len(good)-100])
	put(t, filepath.Join(dir, "nothing.zip"), pack(t, entry{name: "readme.txt", text: "no scene here"}))
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	watchFolder(t, dir, f.url, c)
	for name, says := range map[string]string{
		"shot.zip": "unusable path", "lone.blend": "no .blend file", "old.rar": "only zip archives", "cut.zip": "cut short",
		"nothing.zip": "it holds no .blend file",
	} {
		path := filepath.Join(dir, name+errorSuffix)
		c.drive(t, func() bool { return exists(path) })
		text, err := os.ReadFile(path)
		if got := string(text); err != nil || !strings.HasPrefix(got, name+" was not rendered: ") || !strings.Contains(got, says) ||
			strings.Count(got, "\n") != 1 || strings.Contains(got, dir) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if left, jobs := unpackedIn(t, dir), f.jobsOf(t); len(left) > 0 || len(jobs) > 0 {
		t.Errorf("left %q, jobs %v", left, jobs)
	}
	for _, name := range []string{"notes.txt", "empty"} {
		if exists(filepath.Join(dir, name+errorSuffix)) {
			t.Errorf("there is an error of %s", name)
		}
	}

	// Whoever removes the explanation wants another try.
	if err := os.Remove(sentence); err != nil {
		t.Fatal(err)
	}
	c.drive(t, func() bool { return exists(sentence) })
	put(t, filepath.Join(dir, "shot.zip"), good)
	c.drive(t, func() bool { return len(f.jobsOf(t)["shot.zip"]) == 1 && recordOf(t, dir, "shot.zip").Pending == nil })
	if exists(sentence) {
		t.Error("the error of an earlier version is still there")
	}
}

func TestNewVersionTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	f, dir, c := startFarm(t), t.TempDir(), newClock()
	path := filepath.Join(dir, "shot.zip")
	put(t, path, zipFolder(t, filepath.Join(scenes(t), "project")))
	watchFolder(t, dir, f.url, c)
	c.drive(t, func() bool { return len(f.jobsOf(t)["shot.zip"]) == 1 })
	frame := filepath.Join(dir, "shot.zip"+framesSuffix, "000001.png")
	if err := errors.Join(os.Mkdir(filepath.Dir(frame), 0o755), os.WriteFile(frame, []byte("older"), 0o644)); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(filepath.Join(scenes(t), "plain.blend"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, pack(t, entry{name: "plain.blend", text: string(plain)}))
	c.drive(t, func() bool {
		jobs := f.jobsOf(t)["shot.zip"]
		return len(jobs) == 2 && jobs[1].Status == wire.JobStatusCanceled && recordOf(t, dir, "shot.zip").Job == jobs[0].Id
	})
	aside := filepath.Join(dir, "shot.zip.frames.1", "000001.png")
	if text, err := os.ReadFile(aside); err != nil || string(text) != "older" || exists(frame) {
		t.Errorf("the earlier frames are not aside: %v", err)
	}
}

// cutter stands between a watched folder and its manager, and breaks one connection.
type cutter struct {
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
	count int
	cut   func(r *http.Request, count int) bool // whether this one breaks
	after bool                                  // when the manager has done what it was asked for
	then  func()
}

func newCutter(t *testing.T, manager string) (*cutter, string) {
	t.Helper()
	to, err := url.Parse(manager)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{proxy: httputil.NewSingleHostReverseProxy(to)}
	c.proxy.FlushInterval = -1
	c.proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(c)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return c, server.URL
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	hit := false
	if !strings.Contains(r.URL.Path, "events") {
		hit = c.cut != nil && c.cut(r, c.count)
		c.count++
	}
	if hit {
		c.cut = nil
	}
	c.mu.Unlock()
	if hit && c.after {
		c.proxy.ServeHTTP(httptest.NewRecorder(), r)
	}
	if hit {
		c.then()
		panic(http.ErrAbortHandler)
	}
	c.proxy.ServeHTTP(w, r)
}

// TestKilledAtEachStep ends the watching at each request that it makes, before or after the manager has done it, starts it again,
// and finds one job each time.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	f := startFarm(t)
	content := zipFolder(t, filepath.Join(scenes(t), "project"))
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			if !killedAt(t, f, content, n, after) {
				if n < 6 {
					t.Errorf("a drop became a job in %d requests", n)
				}
				break
			}
		}
	}
}

// killedAt tells whether there was a request n.
func killedAt(t *testing.T, f *farm, content []byte, n int, after bool) bool {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Base(filepath.Dir(dir)) + filepath.Base(dir) + ".zip"
	put(t, filepath.Join(dir, name), content)
	between, address := newCutter(t, f.url)
	killed := make(chan struct{})
	between.after = after
	between.cut = func(_ *http.Request, count int) bool { return count == n }
	between.then = func() { close(killed) }
	c := newClock()
	stop := watchFolder(t, dir, address, c)
	done := func() bool { r := recordOf(t, dir, name); return r.Pending == nil && r.Stamp != "" }
	for alive := true; alive; {
		select {
		case a := <-c.asked:
			if alive = !done(); alive {
				c.pass(a, a.after)
			}
		case <-killed:
			alive = false
		}
	}
	stop()
	hit := false
	select {
	case <-killed:
		hit = true
	default:
	}
	c = newClock()
	stop = watchFolder(t, dir, f.url, c)
	c.drive(t, done)
	stop()
	if jobs := f.jobsOf(t)[name]; len(jobs) != 1 {
		t.Errorf("ended at request %d (after it was done: %v): there are %d jobs", n, after, len(jobs))
	}
	if left := unpackedIn(t, dir); len(left) > 0 {
		t.Errorf("ended at request %d: left %q", n, left)
	}
	return hit
}

// TestLostAnswer loses the manager's answer that a job is stored, and lets the watching go on.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	f, dir, c := startFarm(t), t.TempDir(), newClock()
	between, address := newCutter(t, f.url)
	lost := false
	between.after, between.then = true, func() { lost = true }
	between.cut = func(r *http.Request, _ int) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs")
	}
	put(t, filepath.Join(dir, "shot.zip"), zipFolder(t, filepath.Join(scenes(t), "project")))
	stop := watchFolder(t, dir, address, c)
	c.drive(t, func() bool { r := recordOf(t, dir, "shot.zip"); return r.Pending == nil && r.Stamp != "" })
	stop()
	if jobs := f.jobsOf(t)["shot.zip"]; len(jobs) != 1 || !lost {
		t.Errorf("there are %d jobs; an answer was lost: %v", len(jobs), lost)
	}
	// Without any record, the job is found by its key.
	if err := os.RemoveAll(filepath.Join(dir, ownFolder)); err != nil {
		t.Fatal(err)
	}
	c = newClock()
	stop = watchFolder(t, dir, f.url, c)
	c.drive(t, func() bool { r := recordOf(t, dir, "shot.zip"); return r.Pending == nil && r.Stamp != "" })
	stop()
	if jobs := f.jobsOf(t)["shot.zip"]; len(jobs) != 1 {
		t.Errorf("without records there are %d jobs", len(jobs))
	}
}
