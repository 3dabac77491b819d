package scheduler

import "context"

// CheckTimeouts lets tests run the check that Run makes now and then.
func (s *Scheduler) CheckTimeouts(ctx context.Context) error { return s.checkTimeouts(ctx) }

// ApplySchedules lets tests run what Run does now and then.
func (s *Scheduler) ApplySchedules(ctx context.Context, applied map[WorkerID]WorkerStatus) {
	s.applySchedules(ctx, applied)
}
