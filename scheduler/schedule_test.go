package scheduler

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestScheduleWants(t *testing.T) {
	night := Window{Start: 20 * 60, End: 6 * 60}
	weekend := Window{Days: []time.Weekday{time.Saturday, time.Sunday}}
	friday := Window{Days: []time.Weekday{time.Friday}, Start: 22 * 60, End: 4 * 60}
	// 2 March 2026 is a Monday.
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, 1+day, hour, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		name    string
		windows []Window
		zone    string
		at      time.Time
		want    WorkerStatus
	}{
		{"no window", nil, "", at(1, 12, 0), WorkerAwake},
		{"before a night", []Window{night}, "", at(1, 19, 59), WorkerAwake},
		{"a night begins", []Window{night}, "", at(1, 20, 0), WorkerAsleep},
		{"after midnight", []Window{night}, "", at(2, 3, 0), WorkerAsleep},
		{"a night ends", []Window{night}, "", at(2, 6, 0), WorkerAwake},
		{"whole days", []Window{weekend}, "", at(6, 12, 0), WorkerAsleep},
		{"the day after whole days", []Window{weekend}, "", at(8, 0, 0), WorkerAwake},
		{"friday's night reaches into saturday", []Window{friday}, "", at(6, 3, 59), WorkerAsleep},
		{"and no further", []Window{friday}, "", at(6, 4, 0), WorkerAwake},
		{"thursday's does not exist", []Window{friday}, "", at(5, 3, 0), WorkerAwake},
		{"two windows", []Window{night, weekend}, "", at(6, 12, 0), WorkerAsleep},
		{"another time zone", []Window{night}, "Asia/Tokyo", at(1, 12, 0), WorkerAsleep},
	} {
		s := Schedule{Active: true, Windows: c.windows, Zone: c.zone}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := s.Wants(c.at, time.UTC); got != c.want {
			t.Errorf("%s: wants %s at %s, want %s", c.name, got, c.at.Format("Mon 15:04"), c.want)
		}
	}
}

// Minute by minute over a week, a window covers as many minutes as its length says, on as many days as it names.
func TestWindowCoversItsLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.SliceOfDistinct(rapid.IntRange(0, 6), func(d int) int { return d }).Draw(t, "days")
		w := Window{Start: TimeOfDay(rapid.IntRange(0, minutesPerDay-1).Draw(t, "start")), End: TimeOfDay(rapid.IntRange(0, minutesPerDay-1).Draw(t, "end"))}
		for _, d := range days {
			w.Days = append(w.Days, time.Weekday(d))
		}
		n := len(days)
		if n == 0 {
			n = 7
		}
		length := (int(w.End) - int(w.Start) + minutesPerDay) % minutesPerDay
		if length == 0 {
			length = minutesPerDay
		}
		s, asleep := Schedule{Windows: []Window{w}}, 0
		for m := range 7 * minutesPerDay {
			if s.Wants(time.Date(2026, 3, 1, 0, m, 0, 0, time.UTC), time.UTC) == WorkerAsleep {
				asleep++
			}
		}
		if asleep != n*length {
			t.Fatalf("asleep for %d minutes of the week, want %d days of %d", asleep, n, length)
		}
	})
}

func TestScheduleTexts(t *testing.T) {
	for _, bad := range []string{"24:00", "7", "12:60", "noon", "-1:00"} {
		if _, err := ParseTimeOfDay(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("time %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"m", "xx", "mo x"} {
		if _, err := ParseDays(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("days %q: %v", bad, err)
		}
	}
	days, err := ParseDays("Monday tu  SA")
	if err != nil || FormatDays(days) != "mo tu sa" {
		t.Errorf("days %v, %v", days, err)
	}
	if at, err := ParseTimeOfDay("07:05"); err != nil || at.String() != "07:05" {
		t.Errorf("time %v, %v", at, err)
	}
	if err := (Schedule{Zone: "Mars/Olympus"}).Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("zone: %v", err)
	}
}
