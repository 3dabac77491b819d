package dropfolder

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
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
	return runFolder(t, Config{Dir: dir, Manager: m, Limits: smallUnpacked(), Now: c.Now, After: c.After})
}

func runFolder(t *testing.T, config Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, config) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watching ended with %v", err)
		}
		config.Manager.Close()
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
	put(t, filepath.Join(dir, "void.blend"), nil)
	put(t, filepath.Join(dir, "{jobs}.blend"), []byte("BLENDER"))
	put(t, filepath.Join(dir, "con.blend"), []byte("a name that Windows cannot have"))
	put(t, filepath.Join(dir, "old.rar"), []byte("Rar!"))
	put(t, filepath.Join(dir, "notes.txt"), []byte("not for the farm"))
	put(t, filepath.Join(dir, "cut.zip"), good[:len(good)-100])
	put(t, filepath.Join(dir, "nothing.zip"), pack(t, entry{name: "readme.txt", text: "no scene here"}))
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	watchFolder(t, dir, f.url, c)
	for name, says := range map[string]string{
		"shot.zip": "unusable path", "lone.blend": `read "lone.blend": this is no .blend file`,
		"{jobs}.blend": "has braces, which stand for variables",
		"void.blend":   "void.blend is empty; copy it here again", "con.blend": "1 of its files cannot be used; ", "old.rar": "only zip archives", "cut.zip": "cut short",
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

	// Of what was taken away, nothing is left.
	if err := os.Remove(filepath.Join(dir, "lone.blend")); err != nil {
		t.Fatal(err)
	}
	c.drive(t, func() bool { return !exists(filepath.Join(dir, "lone.blend"+errorSuffix)) })

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

// TestDropsOfOneStem drops a zip, a folder and a .blend that are called alike, under a name that says something to Blender and to
// variables, and a name that leaves no room for more behind it.
func TestDropsOfOneStem(t *testing.T) {
	t.Parallel()
	f, dir, c := startFarm(t), t.TempDir(), newClock()
	project := filepath.Join(scenes(t), "project")
	plain, err := os.ReadFile(filepath.Join(scenes(t), "plain.blend"))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ü", 124) + ".blend"
	names := []string{"-shot #3.zip", "-shot #3", "-shot #3.blend", long}
	put(t, filepath.Join(dir, names[0]), zipFolder(t, project))
	copyFolder(t, project, filepath.Join(dir, names[1]))
	for _, name := range names[2:] {
		if err := os.WriteFile(filepath.Join(dir, name), plain, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	watchFolder(t, dir, f.url, c)
	c.drive(t, func() bool { return len(f.jobsOf(t)) == len(names) })
	folders := map[string]bool{}
	for _, name := range names {
		job := f.jobsOf(t)[name][0]
		path, _ := (*job.Settings)["render_output_path"].(string)
		if strings.ContainsAny(strings.TrimSuffix(strings.TrimPrefix(path, "{output}"), "######"), "{}") || folders[path] {
			t.Errorf("the frames of %s go to %s", name, path)
		}
		folders[path] = true
	}
	if err := os.WriteFile(filepath.Join(dir, long), []byte("no scene"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.drive(t, func() bool { return exists(filepath.Join(dir, beside(long, errorSuffix))) })
}

// TestTakenAwayWhileItIsRead takes a drop away at each request that is made because of it.
func TestTakenAwayWhileItIsRead(t *testing.T) {
	t.Parallel()
	f := startFarm(t)
	for n := range 4 {
		dir, c := t.TempDir(), newClock()
		copyFolder(t, filepath.Join(scenes(t), "project"), filepath.Join(dir, "shot"))
		between, address := newCutter(t, f.url)
		gone := make(chan struct{})
		between.cut = func(_ *http.Request, count int) bool { return count == n }
		between.then = func() {
			if err := os.RemoveAll(filepath.Join(dir, "shot")); err != nil {
				t.Error(err)
			}
			close(gone)
		}
		stop := watchFolder(t, dir, address, c)
		looks := 0
		c.drive(t, func() bool {
			select {
			case <-gone:
				looks++
			default:
			}
			return looks > 5
		})
		stop()
		if got := filesIn(t, dir); len(got) > 0 {
			t.Errorf("taken away at request %d: there is left %q", n, got)
		}
	}
	if jobs := f.jobsOf(t); len(jobs) > 0 {
		t.Errorf("there are jobs: %v", jobs)
	}
}

// TestHindranceIsExplainedUntilItIsGone has no folder to unpack in for a while.
func TestHindranceIsExplainedUntilItIsGone(t *testing.T) {
	t.Parallel()
	f, dir, c := startFarm(t), t.TempDir(), newClock()
	spool := filepath.Join(t.TempDir(), "spool")
	m, err := client.New(f.url, "dropfolder-test")
	if err != nil {
		t.Fatal(err)
	}
	runFolder(t, Config{Dir: dir, Manager: m, Spool: spool, Now: c.Now, After: c.After})
	sentence := filepath.Join(dir, "shot.zip"+errorSuffix)
	c.drive(t, func() bool { return exists(spool) })
	if err := os.Remove(spool); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "shot.zip"), zipFolder(t, filepath.Join(scenes(t), "project")))
	c.drive(t, func() bool { return exists(sentence) })
	if text, err := os.ReadFile(sentence); err != nil || !strings.HasPrefix(string(text), "shot.zip is not rendered yet: ") ||
		!strings.Contains(string(text), "it is tried again by itself") {
		t.Errorf("the explanation is %q, %v", text, err)
	}
	if err := os.Mkdir(spool, 0o755); err != nil {
		t.Fatal(err)
	}
	c.drive(t, func() bool { return len(f.jobsOf(t)["shot.zip"]) == 1 && !exists(sentence) })
}

// TestLargeDropsLetSmallOnesPass hands errands to places; the end of the context ends them at once.
func TestLargeDropsLetSmallOnesPass(t *testing.T) {
	m, err := client.New("http://127.0.0.1:9", "dropfolder-test")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := Config{Dir: t.TempDir(), Manager: m}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLedger(c.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := newWatch(c, l, newCollector(c, l))
	of := func(name string, bytes int64) errand {
		return errand{drop: drop{name: name, kind: zipFile, bytes: bytes}}
	}
	w.ready = []errand{of("large", largeDrop+1), of("huge", 50<<30), of("small", 1), of("tiny", 1)}
	for _, step := range []struct{ busy, ready string }{{"large small", "huge tiny"}, {"large tiny", "huge"}, {"large", "huge"}, {"huge", ""}} {
		w.start(ctx)
		busy := slices.Sorted(maps.Keys(w.busy))
		var ready []string
		for _, e := range w.ready {
			ready = append(ready, e.name)
		}
		if got := strings.Join(busy, " "); got != step.busy || strings.Join(ready, " ") != step.ready {
			t.Fatalf("busy with %s, waiting %q; want %s, %s", got, ready, step.busy, step.ready)
		}
		w.working.Wait()
		for len(w.ended) > 0 {
			<-w.ended
		}
		w.settle(result{name: busy[len(busy)-1]})
	}
}

// TestPatienceGrows tries a drop again after ever longer times, up to a bound, and at once when it is another one.
func TestPatienceGrows(t *testing.T) {
	now := time.Unix(1e9, 0)
	c, err := Config{Dir: t.TempDir(), Manager: new(client.Client), Now: func() time.Time { return now }}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLedger(c.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatch(c, l, newCollector(c, l))
	before := time.Duration(0)
	for try := range 50 {
		if w.settle(result{"shot.zip", errors.New("the disk is full")}) {
			t.Fatal("it is looked at again at once")
		}
		patience := w.failed["shot.zip"].notBefore.Sub(now)
		if try == 0 && patience != c.Rescan || patience < before || patience > mostPatience || patience == before && patience < mostPatience {
			t.Fatalf("after try %d it waits for %v, before that %v", try, patience, before)
		}
		if before = patience; !w.off("shot.zip") {
			t.Fatal("it is tried before its time")
		}
		now = now.Add(patience)
		if w.off("shot.zip") {
			t.Fatal("it is not tried when it is time")
		}
	}
	if !w.settle(result{"shot.zip", errChanged}) || w.off("shot.zip") {
		t.Error("its newer version has to wait")
	}
}

// TestDeafFolderIsLookedAt watches where the system reports no changes, as when its limit of watched folders is reached.
func TestDeafFolderIsLookedAt(t *testing.T) {
	c, err := Config{Dir: t.TempDir(), Manager: new(client.Client)}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(c.Dir, "shot.zip"), []byte("x"))
	l, err := openLedger(c.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatch(c, l, newCollector(c, l))
	w.add = func(string) error { return syscall.ENOSPC }
	if waiting, err := w.look(t.Context()); !waiting || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a drop is waited for: %v; %v", waiting, err)
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
