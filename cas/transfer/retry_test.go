package transfer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := wait(t.Context(), time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		began = time.Now()
		if err := wait(ctx, time.Hour); !errors.Is(err, reason) || time.Since(began) != 0 {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
	})
}

func TestPausesStayInTheirBounds(t *testing.T) {
	for attempt := range 1000 {
		for _, random := range []uint64{0, 1, 1 << 40, ^uint64(0)} {
			if d := pauseAfter(attempt, random); d < firstPause/2 || d > longestPause {
				t.Errorf("after attempt %d: %v", attempt, d)
			}
		}
	}
}
