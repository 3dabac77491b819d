package main

import (
	"slices"
	"time"
)

const (
	kiB = 1 << 10
	miB = 1 << 20
)

// percentile gives the smallest value that at least p of 100 values do not exceed (nearest rank); zero of none. It
// sorts what it gets.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := (len(values)*p + 99) / 100
	return values[max(rank, 1)-1]
}

// median gives the middle one of values, the mean of the two middle ones of an even number; zero of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// rate gives n a second; zero when no time passed.
func rate(n float64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return n / took.Seconds()
}

// megabytes gives MB/s, where a megabyte is 10^6 bytes.
func megabytes(bytes int64, took time.Duration) float64 { return rate(float64(bytes)/1e6, took) }

// milliseconds gives a duration as a figure of a report.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
