package scheduler

import "sync"

// A Notice tells what changed. It is sent after the commit that made the change.
type Notice interface{ isNotice() }

// JobChanged says that a job is new, changed or gone.
type JobChanged struct {
	Job          Job
	Previous     JobStatus // empty: the job is new, or its status did not change
	RefreshTasks bool      // many tasks changed with it; they get no notices of their own
	Deleted      bool
}

// TaskChanged says that a task changed; Task carries no Commands.
type TaskChanged struct {
	Task     Task
	Previous TaskStatus // empty: the status did not change
}

// WorkerChanged says that a worker is new, changed or gone.
type WorkerChanged struct {
	Worker   Worker
	Previous WorkerStatus // empty: the worker is new, or its status did not change
	Deleted  bool
}

// TagChanged says that a tag is new, changed or gone.
type TagChanged struct {
	Tag     Tag
	Deleted bool
}

// LogAppended says that a task's log grew.
type LogAppended struct {
	Task TaskID
	Job  JobID
	Text string
}

// PreviewChanged says that a job has a new last-rendered image.
type PreviewChanged struct{ Job JobID }

func (JobChanged) isNotice()     {}
func (TaskChanged) isNotice()    {}
func (WorkerChanged) isNotice()  {}
func (TagChanged) isNotice()     {}
func (LogAppended) isNotice()    {}
func (PreviewChanged) isNotice() {}

// Kinds is a set of kinds of notices. What nobody subscribed to is not even made.
type Kinds uint8

// The kinds of notices.
const (
	JobNotices Kinds = 1 << iota
	TaskNotices
	WorkerNotices
	TagNotices
	LogNotices
	PreviewNotices

	AllNotices = JobNotices | TaskNotices | WorkerNotices | TagNotices | LogNotices | PreviewNotices
)

// subscriptionBuffer is how many notices may wait for one subscriber before some are dropped.
const subscriptionBuffer = 256

// Subscription delivers notices. A subscriber that does not keep up loses notices and is told by [Subscription.Lagged].
type Subscription struct {
	// C delivers the notices in the order of their commits.
	C <-chan Notice

	c          chan Notice
	kinds      Kinds
	interested func(Notice) bool
	hub        *broadcast

	mu     sync.Mutex
	lagged bool
}

// Lagged tells whether notices were dropped since it was last asked.
func (s *Subscription) Lagged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	lagged := s.lagged
	s.lagged = false
	return lagged
}

// Close ends the subscription; nothing more arrives on C.
func (s *Subscription) Close() { s.hub.remove(s) }

func (s *Subscription) offer(n Notice) {
	if !s.interested(n) {
		return
	}
	select {
	case s.c <- n:
	default:
		s.mu.Lock()
		s.lagged = true
		s.mu.Unlock()
	}
}

// broadcast hands notices to subscribers without ever waiting for one.
type broadcast struct {
	mu    sync.RWMutex
	subs  map[*Subscription]struct{}
	kinds Kinds // what at least one subscriber listens to
}

func (b *broadcast) add(kinds Kinds, interested func(Notice) bool) *Subscription {
	c := make(chan Notice, subscriptionBuffer)
	s := &Subscription{C: c, c: c, kinds: kinds, interested: interested, hub: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = make(map[*Subscription]struct{})
	}
	b.subs[s] = struct{}{}
	b.kinds |= kinds
	return s
}

func (b *broadcast) remove(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subs, s)
	b.kinds = 0
	for other := range b.subs {
		b.kinds |= other.kinds
	}
}

// wanted tells what somebody listens to.
func (b *broadcast) wanted() Kinds {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.kinds
}

func (b *broadcast) send(notices []Notice) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s := range b.subs {
		for _, n := range notices {
			s.offer(n)
		}
	}
}
