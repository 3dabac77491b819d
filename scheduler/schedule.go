package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule says when a worker sleeps. It sleeps in any of its windows and is awake otherwise.
type Schedule struct {
	Active  bool
	Windows []Window
	Zone    string // IANA name; empty: the manager's own time zone
}

// Window is a span of the day, on some days of the week. It may span midnight: it then begins on the listed days and ends
// on the days after them.
type Window struct {
	Days  []time.Weekday // none: every day
	Start TimeOfDay
	End   TimeOfDay // equal to Start: the whole day
}

// TimeOfDay is minutes since midnight, by the clock on the wall.
type TimeOfDay int

// minutesPerDay by the clock on the wall; a day on which the clock is changed has more or less in real time.
const minutesPerDay = 24 * 60

// ParseTimeOfDay reads "HH:MM"; empty is midnight. Anything else is [ErrInvalid].
func ParseTimeOfDay(text string) (TimeOfDay, error) {
	if text == "" {
		return 0, nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%w: time of day %q; write it as HH:MM, from 00:00 to 23:59", ErrInvalid, text)
	}
	return TimeOfDay(at.Hour()*60 + at.Minute()), nil
}

// String gives "HH:MM".
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

var dayNames = [7]string{"su", "mo", "tu", "we", "th", "fr", "sa"}

// ParseDays reads names of days, separated by spaces and cut to two letters; none means every day. Anything else is
// [ErrInvalid].
func ParseDays(text string) ([]time.Weekday, error) {
	var days []time.Weekday
	for _, word := range strings.Fields(strings.ToLower(text)) {
		at := -1
		if len(word) >= 2 {
			at = slices.Index(dayNames[:], word[:2])
		}
		if at < 0 {
			return nil, fmt.Errorf("%w: day %q; days are %s", ErrInvalid, word, strings.Join(dayNames[:], " "))
		}
		if !slices.Contains(days, time.Weekday(at)) {
			days = append(days, time.Weekday(at))
		}
	}
	return days, nil
}

// FormatDays is the text that [ParseDays] reads.
func FormatDays(days []time.Weekday) string {
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = dayNames[d]
	}
	return strings.Join(names, " ")
}

// Validate returns an error that is [ErrInvalid] for a time zone that is not known or a time that is not of a day.
func (s Schedule) Validate() error {
	if _, err := s.location(time.UTC); err != nil {
		return err
	}
	for _, w := range s.Windows {
		if w.Start < 0 || w.End < 0 || w.Start >= minutesPerDay || w.End >= minutesPerDay {
			return fmt.Errorf("%w: window %v-%v; times are from 00:00 to 23:59", ErrInvalid, w.Start, w.End)
		}
	}
	return nil
}

func (s Schedule) location(local *time.Location) (*time.Location, error) {
	if s.Zone == "" {
		return local, nil
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return nil, fmt.Errorf("%w: time zone %q; use a name such as Europe/Amsterdam", ErrInvalid, s.Zone)
	}
	return zone, nil
}

// Wants gives the status that the schedule wants at a moment. local is the manager's time zone.
func (s Schedule) Wants(at time.Time, local *time.Location) WorkerStatus {
	zone, err := s.location(local)
	if err != nil {
		zone = local
	}
	at = at.In(zone)
	minute := TimeOfDay(at.Hour()*60 + at.Minute())
	for _, w := range s.Windows {
		if w.contains(at.Weekday(), minute) {
			return WorkerAsleep
		}
	}
	return WorkerAwake
}

func (w Window) contains(day time.Weekday, minute TimeOfDay) bool {
	before := (day + 6) % 7
	switch {
	case w.Start == w.End:
		return w.on(day)
	case w.Start < w.End:
		return w.on(day) && minute >= w.Start && minute < w.End
	}
	return (w.on(day) && minute >= w.Start) || (w.on(before) && minute < w.End)
}

func (w Window) on(day time.Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, day) }

// SetSchedule stores when a worker sleeps; nil: it has no schedule any more. It acts at once.
func (s *Scheduler) SetSchedule(ctx context.Context, id WorkerID, schedule *Schedule) error {
	if schedule != nil {
		if err := schedule.Validate(); err != nil {
			return fmt.Errorf("worker %s: %w", id.ShortID(), err)
		}
	}
	return s.changeWorker(ctx, id, func(c *change, w *Worker) error {
		w.Schedule = schedule
		if schedule != nil && schedule.Active {
			wanted := schedule.Wants(c.Now(), s.local)
			w.Requested, w.RequestedLazy = "", false
			if w.Status != wanted {
				w.Requested = wanted
			}
			c.nudges = append(c.nudges, id)
		}
		c.workers = append(c.workers, workerNews{id: id})
		return nil
	})
}

// applySchedules asks workers to sleep or wake when their schedules want another status than before. In between, what a
// person asked for stands. Workers in error or offline are left alone; they are told when they sign on.
func (s *Scheduler) applySchedules(ctx context.Context, applied map[WorkerID]WorkerStatus) {
	workers, err := s.Workers(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("sleep schedules could not be read; the next check tries again", "error", err)
		}
		return
	}
	for _, w := range workers {
		if w.Schedule == nil || !w.Schedule.Active || w.Status == WorkerError || w.Status == WorkerOffline {
			delete(applied, w.ID)
			continue
		}
		wanted := w.Schedule.Wants(s.now(), s.local)
		if applied[w.ID] == wanted {
			continue
		}
		err := s.RequestWorkerStatus(ctx, w.ID, wanted, false)
		if err != nil && !errors.Is(err, ErrNotFound) {
			s.log.Error("a worker could not be told of its schedule", "worker", w.Name, "error", err)
			continue
		}
		applied[w.ID] = wanted
	}
}
