package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Limits are the thresholds of the scheduler; a zero field takes its default.
type Limits struct {
	WorkerTimeout time.Duration // a worker that is silent for longer is in error; default 1 min
	TaskTimeout   time.Duration // an active task that nobody spoke of for longer has failed; default 10 min
	TaskSilence   time.Duration // an active task without any report for longer has failed; default 0: never
	TaskTotal     time.Duration // an active task that runs for longer has failed; default 0: never
	TaskAttempts  int           // a task fails for good with this many failed attempts; default 3
	BlockAfter    int           // failed tasks of one type of a job that take a worker off that type; default 3
	FailPercent   int           // share of failed tasks with which a job fails; default 10
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&l.WorkerTimeout, time.Minute)
	set(&l.TaskTimeout, 10*time.Minute)
	count := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	count(&l.TaskAttempts, 3)
	count(&l.BlockAfter, 3)
	count(&l.FailPercent, 10)
	return l
}

// Options are what a scheduler takes from its surroundings; a zero field takes its default.
type Options struct {
	Now    func() time.Time // default time.Now
	Local  *time.Location   // of sleep schedules that name no time zone; default time.Local
	NewID  func() uuid.UUID // default time-ordered UUIDs (RFC 9562, version 7), which keep indexes compact
	Logger *slog.Logger     // default: discard
	Limits Limits
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Local == nil {
		o.Local = time.Local
	}
	if o.NewID == nil {
		o.NewID = func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.withDefaults()
	return o
}

// Scheduler takes the decisions. All its methods may be called at the same time.
type Scheduler struct {
	store    Store
	now      func() time.Time
	local    *time.Location
	newID    func() uuid.UUID
	log      *slog.Logger
	limits   Limits
	waiting  *waiting
	presence *presence
	secrets  *secretCache
	hub      *broadcast
	news     *news
}

// New makes a scheduler on a store. It starts nothing; see [Scheduler.Run].
func New(store Store, o Options) *Scheduler {
	o = o.withDefaults()
	hub := &broadcast{}
	return &Scheduler{
		store: store, now: o.Now, local: o.Local, newID: o.NewID, log: o.Logger, limits: o.Limits,
		waiting:  newWaiting(),
		presence: newPresence(o.Now()),
		secrets:  newSecretCache(),
		hub:      hub,
		news:     newNews(hub),
	}
}

// checkEvery is how often time-outs are looked for, and presence is written down.
const checkEvery = 5 * time.Second

// Run looks for time-outs, writes presence down and sends notices, until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	told := make(chan struct{})
	go func() {
		defer close(told)
		s.tellNews(ctx)
	}()
	applied := make(map[WorkerID]WorkerStatus)
	s.applySchedules(ctx, applied)
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.checkTimeouts(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("time-outs could not be checked; the next check tries again", "error", err)
			}
			s.applySchedules(ctx, applied)
			s.flushPresence(ctx)
		case <-ctx.Done():
			<-told
			flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkEvery)
			defer cancel()
			s.flushPresence(flush)
			return nil
		}
	}
}

// Subscribe delivers the interesting notices of some kinds until the subscription is closed. Notices of jobs, tasks and
// workers tell the newest state; of several changes in quick succession one notice may tell the last.
func (s *Scheduler) Subscribe(kinds Kinds, interested func(Notice) bool) *Subscription {
	return s.hub.add(kinds, interested)
}

// NewJobID makes an id for a job that is about to be submitted.
func (s *Scheduler) NewJobID() JobID { return JobID{UUID: s.newID()} }

// NewTaskID makes an id for a task that is about to be submitted.
func (s *Scheduler) NewTaskID() TaskID { return TaskID{UUID: s.newID()} }

// change is one transaction and what has to be done after its commit.
type change struct {
	Tx
	limits   Limits
	job      Job // of the task that was moved last, just after its move
	runnable int
	nudges   []WorkerID
	idle     func(WorkerID) bool // whether a worker's request for work is being held
	left     left
	gone     bool // a worker may take fewer tasks than was thought
	jobs     []jobNews
	tasks    []taskNews
	workers  []workerNews
	notices  []Notice
}

// update runs fn in one transaction; when it is on stable storage, waiters are woken and notices sent.
func (s *Scheduler) update(ctx context.Context, fn func(*change) error) error {
	c := &change{limits: s.limits, idle: s.waiting.wantsWork}
	err := s.store.Update(ctx, func(tx Tx) error {
		c.Tx = tx
		return fn(c)
	})
	if err != nil {
		return err
	}
	s.waiting.work(c.runnable)
	s.waiting.nudge(c.nudges)
	if c.gone {
		s.waiting.askAgain()
	}
	s.news.add(c)
	return nil
}

// view reads one value in one snapshot.
func view[T any](ctx context.Context, s *Scheduler, read func(ReadTx) (T, error)) (T, error) {
	var value T
	err := s.store.View(ctx, func(tx ReadTx) (err error) {
		value, err = read(tx)
		return err
	})
	return value, err
}

// SubmitJob stores a job with its tasks. job.ID comes from [Scheduler.NewJobID]; Status is the initial one: queued,
// paused or under-construction, empty means queued. It returns the job as stored.
func (s *Scheduler) SubmitJob(ctx context.Context, job Job, tasks []NewTask) (Job, error) {
	if err := checkNewJob(&job, tasks); err != nil {
		return Job{}, err
	}
	var stored Job
	err := s.update(ctx, func(c *change) (err error) {
		if err := c.InsertJob(job, tasks); err != nil {
			return err
		}
		stored, err = c.Job(job.ID)
		if err != nil {
			return err
		}
		if stored.Status.Claimable() {
			c.runnable += stored.Runnable
		}
		if err := explainWaiting(c, []*Job{&stored}); err != nil {
			return err
		}
		c.jobs = append(c.jobs, jobNews{id: job.ID})
		return nil
	})
	if err != nil {
		return Job{}, fmt.Errorf("store job %q: %w", job.Name, err)
	}
	return stored, nil
}

func checkNewJob(job *Job, tasks []NewTask) error {
	if job.Status == "" {
		job.Status = JobQueued
	}
	switch {
	case job.Status != JobQueued && job.Status != JobPaused && job.Status != JobUnderConstruction:
		return fmt.Errorf("%w: a job cannot start as %q; use queued or paused", ErrInvalid, job.Status)
	case job.Priority < MinPriority || job.Priority > MaxPriority:
		return fmt.Errorf("%w: priority %d is not between %d and %d", ErrInvalid, job.Priority, MinPriority, MaxPriority)
	case len(tasks) == 0:
		return fmt.Errorf("%w: the job has no tasks; check its settings", ErrInvalid)
	}
	if err := job.Share.check(); err != nil {
		return err
	}
	var err error
	job.Requires, err = CleanRequirements(job.Requires)
	return err
}
