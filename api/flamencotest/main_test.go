package flamencotest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; a wait that ends well ends by an event.
const patience = 30 * time.Second

// faults collects complaints.
type faults struct {
	mu   sync.Mutex
	said []string
}

func (f *faults) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func (f *faults) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.said)
}

// expect finds exactly one complaint with these words, or none at all when there are no words.
func (f *faults) expect(t *testing.T, words string) {
	t.Helper()
	said := f.all()
	switch {
	case words == "" && len(said) > 0:
		t.Errorf("complaints: %q", said)
	case words != "" && !slices.ContainsFunc(said, func(one string) bool { return strings.Contains(one, words) }):
		t.Errorf("no complaint says %q: %q", words, said)
	}
}

// serve runs a handler until the test ends and gives its address and a client.
func serve(t *testing.T, handler http.Handler) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, server.Client()
}

// await waits until a manager's state fulfils a condition.
func await(t *testing.T, m *Manager, what string, holds func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		changed := m.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("it never came to this: %s\n%s", what, m)
		}
	}
}
