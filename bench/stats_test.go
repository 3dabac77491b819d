package main

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	ten := []time.Duration{10, 1, 9, 2, 8, 3, 7, 4, 6, 5}
	for _, test := range []struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		{nil, 50, 0}, {ten, 50, 5}, {ten, 51, 6}, {ten, 99, 10}, {ten, 100, 10}, {ten, 0, 1}, {ten, 10, 1}, {[]time.Duration{7}, 99, 7},
	} {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("percentile %d of %v is %d, want %d", test.p, test.values, got, test.want)
		}
	}
}

// TestPercentileHoldsItsPromise counts: at least p of 100 values are no larger, and any smaller value would not do.
func TestPercentileHoldsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 50).Draw(t, "value"))
		}), 1, 200).Draw(t, "values")
		p := rapid.IntRange(1, 100).Draw(t, "p")
		got := percentile(values, p)
		atMost, below := 0, 0
		for _, v := range values {
			if v <= got {
				atMost++
			}
			if v < got {
				below++
			}
		}
		if atMost*100 < p*len(values) || below*100 >= p*len(values) {
			t.Fatalf("percentile %d of %v is %d: %d are no larger, %d are smaller", p, values, got, atMost, below)
		}
	})
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
}

func TestRates(t *testing.T) {
	if got := rate(500, 250*time.Millisecond); got != 2000 {
		t.Errorf("500 in a quarter of a second are %v a second, want 2000", got)
	}
	if got := rate(500, 0); got != 0 || math.IsInf(got, 0) {
		t.Errorf("a rate over no time is %v, want 0", got)
	}
	if got := megabytes(3_000_000, 2*time.Second); got != 1.5 {
		t.Errorf("3,000,000 bytes in 2 s are %v MB/s, want 1.5", got)
	}
	if got := milliseconds(1500 * time.Microsecond); got != 1.5 {
		t.Errorf("1500 µs are %v ms, want 1.5", got)
	}
}
