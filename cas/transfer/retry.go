package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The pauses between attempts double from the first to the longest. Each is between half of that and all of it, at
// random, so that many senders do not come back at the same moment.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

// retry makes a request until it succeeds or fails for a reason that does not pass.
func (s *Sender) retry(ctx context.Context, request func() error) error {
	for attempt := 0; ; attempt++ {
		err := request()
		if err == nil || !errors.Is(err, ErrUnavailable) {
			return err
		}
		if err := s.pause(ctx, attempt, err); err != nil {
			return err
		}
	}
}

// pause waits before the attempt after the given one, which is counted from 0 and failed. Its error is the end of the
// patience, or of ctx.
func (s *Sender) pause(ctx context.Context, attempt int, failed error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if attempt+1 >= s.options.Attempts {
		return fmt.Errorf("given up after %d attempts: %w", attempt+1, failed)
	}
	return s.options.Wait(ctx, pauseAfter(attempt, s.options.Random()))
}

func pauseAfter(attempt int, random uint64) time.Duration {
	whole := longestPause
	if attempt < 16 { // far beyond the longest, and far below the end of the type
		whole = min(firstPause<<attempt, longestPause)
	}
	return whole/2 + time.Duration(random%uint64(whole/2+1))
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
