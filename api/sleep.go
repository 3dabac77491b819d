package api

import (
	"context"
	"fmt"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// FetchWorkerSleepSchedule tells when a worker sleeps.
func (s *Server) FetchWorkerSleepSchedule(ctx context.Context, r gen.FetchWorkerSleepScheduleRequestObject) (gen.FetchWorkerSleepScheduleResponseObject, error) {
	w, err := s.Scheduler.Worker(ctx, scheduler.WorkerID{UUID: r.WorkerId})
	switch {
	case err != nil:
		return nil, err
	case w.Schedule == nil:
		return gen.FetchWorkerSleepSchedule204Response{}, nil
	}
	return gen.FetchWorkerSleepSchedule200JSONResponse(scheduleToWire(*w.Schedule)), nil
}

// SetWorkerSleepSchedule sets when a worker sleeps.
func (s *Server) SetWorkerSleepSchedule(ctx context.Context, r gen.SetWorkerSleepScheduleRequestObject) (gen.SetWorkerSleepScheduleResponseObject, error) {
	schedule, err := scheduleFromWire(*r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.Scheduler.SetSchedule(ctx, scheduler.WorkerID{UUID: r.WorkerId}, &schedule); err != nil {
		return nil, err
	}
	return gen.SetWorkerSleepSchedule204Response{}, nil
}

// scheduleToWire gives the first window in the members that Flamenco's clients know.
func scheduleToWire(s scheduler.Schedule) wire.WorkerSleepSchedule {
	w := wire.WorkerSleepSchedule{IsActive: s.Active, TimeZone: optional(s.Zone)}
	if len(s.Windows) == 0 {
		return w
	}
	first := windowToWire(s.Windows[0])
	w.DaysOfWeek, w.StartTime, w.EndTime = first.DaysOfWeek, first.StartTime, first.EndTime
	if further := s.Windows[1:]; len(further) > 0 {
		windows := convert(further, windowToWire)
		w.MoreWindows = &windows
	}
	return w
}

func windowToWire(w scheduler.Window) wire.SleepWindow {
	return wire.SleepWindow{DaysOfWeek: scheduler.FormatDays(w.Days), StartTime: w.Start.String(), EndTime: w.End.String()}
}

func scheduleFromWire(w wire.WorkerSleepSchedule) (scheduler.Schedule, error) {
	s := scheduler.Schedule{Active: w.IsActive, Zone: deref(w.TimeZone)}
	first := wire.SleepWindow{DaysOfWeek: w.DaysOfWeek, StartTime: w.StartTime, EndTime: w.EndTime}
	for i, sent := range append([]wire.SleepWindow{first}, deref(w.MoreWindows)...) {
		window, err := windowFromWire(sent)
		if err != nil {
			return s, fmt.Errorf("window %d: %w", i+1, err)
		}
		s.Windows = append(s.Windows, window)
	}
	return s, nil
}

func windowFromWire(w wire.SleepWindow) (window scheduler.Window, err error) {
	if window.Days, err = scheduler.ParseDays(w.DaysOfWeek); err != nil {
		return window, err
	}
	if window.Start, err = scheduler.ParseTimeOfDay(w.StartTime); err != nil {
		return window, err
	}
	window.End, err = scheduler.ParseTimeOfDay(w.EndTime)
	return window, err
}
