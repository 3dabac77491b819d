package intake

import "time"

// Clock tells time that only goes forward, whatever is done to the clock on the wall.
type Clock interface {
	// Elapsed is the time since some fixed moment.
	Elapsed() time.Duration
	// After gives a channel that receives once, when d has passed.
	After(d time.Duration) <-chan time.Time
}

// monotonic is the machine's own clock: the difference of two readings of package time comes from the monotonic one.
type monotonic struct{ start time.Time }

func (m monotonic) Elapsed() time.Duration               { return time.Since(m.start) }
func (monotonic) After(d time.Duration) <-chan time.Time { return time.After(d) }
