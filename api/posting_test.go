package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hayloft/api"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/scheduler"
)

// delivery is one result as a receiver got it.
type delivery struct {
	header http.Header
	body   string
}

// receiver takes results on loopback; answer gives the status for each.
func receiver(t *testing.T, answer func(delivery) int) (url string, came <-chan delivery) {
	t.Helper()
	deliveries := make(chan delivery, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		d := delivery{r.Header, string(body)}
		status := answer(d)
		w.WriteHeader(status)
		if status == http.StatusNoContent {
			deliveries <- d
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, deliveries
}

func next(t *testing.T, came <-chan delivery) delivery {
	t.Helper()
	select {
	case d := <-came:
		return d
	case <-time.After(20 * time.Second):
		t.Fatal("no result came")
		return delivery{}
	}
}

// produce writes files that a task made, each a second younger than the one before, and gives them as its outputs.
func produce(t *testing.T, root string, names ...string) *[]wire.ProducedOutput {
	t.Helper()
	var outputs []wire.ProducedOutput
	must(t, os.MkdirAll(root, 0o755))
	for i, name := range names {
		path := filepath.Join(root, name)
		must(t, os.WriteFile(path, []byte(name), 0o644))
		at := time.Unix(1_700_000_000+int64(i), 0)
		must(t, os.Chtimes(path, at, at))
		outputs = append(outputs, wire.ProducedOutput{Root: root, Path: name, Size: int64(len(name)), Sha256: cas.SumBytes([]byte(name)).String()})
	}
	return &outputs
}

// TestResultsArePosted holds that each result comes in the order of completion, says whose it is, and comes again until it
// is taken, while the task goes on.
func TestResultsArePosted(t *testing.T) {
	f := newFarm(t)
	refusals := 0
	url, came := receiver(t, func(d delivery) int {
		if d.body == "b.png" && refusals < 1 {
			refusals++
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	job := f.submit(func(j *wire.SubmittedJob) {
		j.Name, j.Metadata = "Übung", &wire.JobMetadata{api.PostResults: url}
	})
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	root := filepath.Join(f.storage, "output", "shot")
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: produce(t, root, "c.png", "b.png", "a.txt")}))
	for _, want := range []struct{ body, kind string }{{"c.png", "image/png"}, {"b.png", "image/png"}, {"a.txt", "text/plain; charset=utf-8"}} {
		d := next(t, came)
		sum := sha256.Sum256([]byte(want.body))
		for name, value := range map[string]string{
			"Hayloft-Job": job.Id.String(), "Hayloft-Job-Name": "=?utf-8?q?=C3=9Cbung?=", "Hayloft-Task": task.Uuid.String(),
			"Hayloft-Task-Name": task.Name, "Hayloft-Path": want.body, "Content-Type": want.kind,
			"Content-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		} {
			if got := d.header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", want.body, name, got, value)
			}
		}
		if key, err := hex.DecodeString(strings.Trim(d.header.Get("Idempotency-Key"), `"`)); d.body != want.body || err != nil || len(key) != 32 {
			t.Errorf("got %q with the key %x, want %q", d.body, key, want.body)
		}
	}
	// The same bytes are not sent again; a new file is.
	again := produce(t, root, "c.png")
	*again = append(*again, *produce(t, root, "d.png")...)
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: again}))
	if d := next(t, came); d.body != "d.png" {
		t.Errorf("got %q", d.body)
	}
	if refusals != 1 {
		t.Errorf("%d were refused", refusals)
	}
}

// TestAResultIsPostedAfterARestart starts a second server on what the first one left, while one result was not taken.
func TestAResultIsPostedAfterARestart(t *testing.T) {
	refuse := make(chan struct{}, 1)
	open := make(chan struct{})
	url, came := receiver(t, func(d delivery) int {
		select {
		case <-open:
			return http.StatusNoContent
		default:
		}
		if d.body == "2.png" {
			select {
			case refuse <- struct{}{}:
			default:
			}
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	})
	var config api.Config
	f := newFarm(t, func(c *api.Config) { config = *c })
	f.submit(func(j *wire.SubmittedJob) { j.Metadata = &wire.JobMetadata{api.PostResults: url} })
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	root := filepath.Join(f.storage, "output", "shot")
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: produce(t, root, "1.png", "2.png")}))
	if d := next(t, came); d.body != "1.png" {
		t.Errorf("got %q", d.body)
	}
	<-refuse
	f.stop()
	close(open)
	config.Scheduler = scheduler.New(f.database, scheduler.Options{})
	server := try(api.New(config))(t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { must(t, config.Scheduler.Run(ctx)) })
	running.Go(func() { must(t, server.Run(ctx)) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	if d := next(t, came); d.body != "2.png" {
		t.Errorf("got %q after the restart", d.body)
	}
}

func TestAResultURLIsChecked(t *testing.T) {
	f := newFarm(t)
	for _, text := range []string{"", "file:///etc/passwd", "receiver:9000", "http://"} {
		err := f.client().CheckJob(t.Context(), wire.SubmittedJob{
			Name: "x", Type: "echo-sleep-test", SubmitterPlatform: "linux",
			Settings: &wire.JobSettings{"message": "x"}, Metadata: &wire.JobMetadata{api.PostResults: text},
		})
		if err == nil || !strings.Contains(err.Error(), "it must be a URL") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
