package api_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hayloft/api/wire"
	"hayloft/cas"
)

// BenchmarkClaimAndComplete is one task from claim to end, over real HTTP and with every commit synced.
func BenchmarkClaimAndComplete(b *testing.B) {
	f := newFarm(b)
	f.http.Transport = nil
	f.submit(func(j *wire.SubmittedJob) { j.Settings = &wire.JobSettings{"message": "m", "sleep_repeats": 1} })
	w := f.worker(0)
	for b.Loop() {
		task, err := w.Claim(b.Context())
		if err != nil {
			b.StopTimer()
			f.http.Transport = nil
			f.submit()
			b.StartTimer()
			continue
		}
		must(b, w.UpdateTask(b.Context(), task.Uuid, wire.TaskUpdate{TaskStatus: ptr(wire.TaskStatusCompleted), Claim: task.Claim}))
	}
}

// BenchmarkUpload measures large uploads beside what HTTP, SHA-256 and a synced file alone reach in the same process, and
// reports the ratio of the two.
func BenchmarkUpload(b *testing.B) {
	const size = 256 << 20
	f := newFarm(b)
	f.http.Transport = nil
	bare := httptest.NewServer(bareUpload{dir: b.TempDir()})
	defer bare.Close()
	content := randomBytes(9, size)
	var ours, floor float64
	seed := uint64(0)
	for b.Loop() {
		b.StopTimer()
		seed++
		copy(content, fmt.Sprint(seed)) // each round is a blob of its own
		blob := cas.Blob{Digest: cas.SumBytes(content), Size: size}
		b.StartTimer()
		ours += timed(b, f.url+uploadPath(blob), content)
		b.StopTimer()
		floor += timed(b, bare.URL, content)
		b.StartTimer()
	}
	b.SetBytes(size)
	b.ReportMetric(size*float64(b.N)/ours/1e6, "uploaded-MB/s")
	b.ReportMetric(size*float64(b.N)/floor/1e6, "bare-MB/s")
	b.ReportMetric(floor/ours, "of-bare")
}

// bareUpload is the least that a durable, checked upload can do.
type bareUpload struct{ dir string }

func (u bareUpload) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, err := os.Create(filepath.Join(u.dir, "bare"))
	if err == nil {
		sum := sha256.New()
		_, err = io.CopyBuffer(io.MultiWriter(file, sum), r.Body, make([]byte, 1<<20))
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func timed(b *testing.B, url string, content []byte) float64 {
	b.Helper()
	running := startClock()
	resp, err := http.Post(url, anyBytes, bytes.NewReader(content))
	must(b, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	must(b, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("upload answered %d", resp.StatusCode)
	}
	return running()
}

// startClock gives the seconds since it was called.
func startClock() func() float64 {
	began := time.Now()
	return func() float64 { return time.Since(began).Seconds() }
}
