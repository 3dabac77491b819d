package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Need is what a job asks of a worker.
type Need struct {
	Requires  []string // abilities, see Lacking
	Tag       TagID    // zero: any worker
	TaskTypes []string // all of them; none: any
}

// Eligibility tells of one worker whether it could run a job.
type Eligibility struct {
	Worker Worker
	Can    bool
	Why    string // why it cannot, in words for people; empty when it can
}

// EligibleWorkers tells which workers could run a job, all workers by name. A worker that is offline or in error cannot; one that
// sleeps can. [ErrInvalid] for requirements that no job could have.
func (s *Scheduler) EligibleWorkers(ctx context.Context, need Need) ([]Eligibility, error) {
	var err error
	if need.Requires, err = CleanRequirements(need.Requires); err != nil {
		return nil, err
	}
	workers, err := s.Workers(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]Eligibility, len(workers))
	for i, w := range workers {
		why := need.refuses(w)
		if why == "" && (w.Status == WorkerOffline || w.Status == WorkerError) {
			why = fmt.Sprintf("it is %s", w.Status)
		}
		answers[i] = Eligibility{Worker: w, Can: why == "", Why: why}
	}
	return answers, nil
}

// refuses says why a worker is not what is needed, whatever its status; empty: it is.
func (n Need) refuses(w Worker) string {
	for _, t := range n.TaskTypes {
		if !slices.Contains(w.TaskTypes, t) {
			return fmt.Sprintf("it does not take tasks of type %s", t)
		}
	}
	if !n.Tag.IsZero() && !slices.Contains(w.Tags, n.Tag) {
		return "it does not carry the job's tag"
	}
	if lacking := Lacking(w.Abilities, n.Requires); len(lacking) > 0 {
		return whyLacking(w.Abilities, lacking)
	}
	return ""
}

// Pace is how fast tasks were that ran before.
type Pace struct {
	Tasks   int
	Steps   int           // a render task has a step for each frame
	Elapsed time.Duration // from claim to completion, summed up
}

// paceTasks is how many tasks a [Pace] looks at: more do not make it truer.
const paceTasks = 1000

// Pace tells how fast the tasks of one type were in the newest jobs with this job type and name; zero without any.
func (s *Scheduler) Pace(ctx context.Context, jobType, name, taskType string) (Pace, error) {
	pace, err := view(ctx, s, func(tx ReadTx) (Pace, error) { return tx.Pace(jobType, name, taskType, paceTasks) })
	if err != nil {
		return Pace{}, fmt.Errorf("pace of earlier jobs named %q: %w", name, err)
	}
	return pace, nil
}

// eligibilityChanged tells of the jobs that may have found, or lost, the workers that can do them.
func (c *change) eligibilityChanged() error {
	ids, err := c.IdleRequiringJobs()
	for _, id := range ids {
		c.jobs = append(c.jobs, jobNews{id: id})
	}
	return err
}

func explainedJob(tx ReadTx, id JobID) (Job, error) {
	job, err := tx.Job(id)
	if err != nil {
		return Job{}, err
	}
	return job, explainWaiting(tx, []*Job{&job})
}

func pointers[T any](values []T) []*T {
	list := make([]*T, len(values))
	for i := range values {
		list[i] = &values[i]
	}
	return list
}

// explainWaiting lets the activity of jobs say so when they require what no worker of the farm can do, even one that is
// offline now. It is not stored, so that it is true whenever it is read: a worker may come that can.
func explainWaiting(tx ReadTx, jobs []*Job) error {
	var workers []Worker
	known := make(map[string]string) // many jobs of a long list wait for the same
	for _, job := range jobs {
		if len(job.Requires) == 0 || !job.Status.Claimable() || job.Runnable == 0 || job.Tasks.Active > 0 || !job.DeleteRequestedAt.IsZero() {
			continue
		}
		if workers == nil {
			var err error
			if workers, err = tx.Workers(); err != nil {
				return err
			}
		}
		types, err := tx.WaitingTypes(job.ID)
		if err != nil {
			return err
		}
		same := fmt.Sprintf("%q %s %q", job.Requires, job.WorkerTag, types)
		why, ok := known[same]
		if !ok {
			why = job.whyNobody(types, workers)
			known[same] = why
		}
		if why != "" {
			job.Activity = why
		}
	}
	return nil
}

// namedRefusals is how many workers an activity names: it is one line.
const namedRefusals = 3

// whyNobody says why no worker can do any of the tasks that wait; empty: one can.
func (j *Job) whyNobody(types []string, workers []Worker) string {
	for _, t := range types {
		need := Need{Requires: j.Requires, Tag: j.WorkerTag, TaskTypes: []string{t}}
		if slices.ContainsFunc(workers, func(w Worker) bool { return need.refuses(w) == "" }) {
			return ""
		}
	}
	var refusals []string
	for _, w := range workers {
		if len(refusals) == namedRefusals {
			refusals = append(refusals, fmt.Sprintf("and %d more", len(workers)-namedRefusals))
			break
		}
		need := Need{Requires: j.Requires, Tag: j.WorkerTag, TaskTypes: types}
		refusals = append(refusals, w.Name+": "+need.refuses(w))
	}
	if len(refusals) == 0 {
		refusals = []string{"it has no workers yet"}
	}
	return fmt.Sprintf("Waits for a worker that can do %s; no worker of the farm can (%s)", strings.Join(j.Requires, ", "),
		strings.Join(refusals, "; "))
}
