package api

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hayloft/scheduler"
)

// TestStreamBeatsAndTellsOfLoss runs a stream in virtual time: it beats while nothing happens, says resync when events were
// dropped, and ends with its client.
func TestStreamBeatsAndTellsOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		notices, left, lagging := make(chan scheduler.Notice), false, false
		stream := &eventStream{
			ctx: ctx, notices: notices, stopping: make(chan struct{}),
			lagged: func() bool { was := lagging; lagging = false; return was },
			leave:  []func(){func() { left = true }},
		}
		out := httptest.NewRecorder()
		ended := make(chan error, 1)
		go func() { ended <- stream.VisitGetEventsResponse(out) }()
		<-time.After(2*heartbeatEvery + time.Second)
		synctest.Wait()
		if got := strings.Count(out.Body.String(), ": still here\n\n"); got != 2 {
			t.Errorf("%d beats in two periods", got)
		}
		lagging = true
		notices <- scheduler.LogAppended{Text: "x"}
		synctest.Wait()
		if !strings.HasSuffix(out.Body.String(), "event: resync\ndata: {}\n\n") || !strings.HasPrefix(out.Body.String(), "retry: 2000\n\n") {
			t.Errorf("stream is %q", out.Body.String())
		}
		cancel()
		if err := <-ended; err != nil || !left {
			t.Errorf("the stream ended with %v, left %t", err, left)
		}
	})
}
