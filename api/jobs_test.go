package api

import (
	"testing"
	"time"
)

func TestTimesAreRoundedUpToSeconds(t *testing.T) {
	whole := time.Date(2026, 4, 1, 12, 0, 1, 0, time.UTC)
	for sent, want := range map[time.Time]time.Time{
		whole:                       whole,
		whole.Add(time.Nanosecond):  whole.Add(time.Second),
		whole.Add(-time.Nanosecond): whole,
		whole.Add(time.Millisecond).In(time.FixedZone("", 3600)): whole.Add(time.Second),
	} {
		if got := roundUp(sent, time.Second); !got.Equal(want) {
			t.Errorf("%v becomes %v, want %v", sent, got, want)
		}
	}
}
