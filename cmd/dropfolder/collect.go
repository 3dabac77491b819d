package dropfolder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"
)

// fetches is how many frames of one job are fetched at a time.
const fetches = 4

// collector brings the frames of jobs beside their drops, and says so when a job failed. Whatever it missed it finds by
// comparing what the manager lists with what is here.
type collector struct {
	manager *client.Client
	ledger  *ledger
	log     *slog.Logger
	retry   time.Duration
	after   func(time.Duration) <-chan time.Time

	serial atomic.Int64 // numbers files that are being fetched

	mu    sync.Mutex
	due   map[uuid.UUID]bool // jobs of which there is news
	every bool               // all jobs are due
	wake  chan struct{}      // has something when there is something due

	// here are the digests of frames that were brought, by job and path, for as long as the job is followed. It belongs to
	// the goroutine of run, and to those that it waits for.
	here map[uuid.UUID]*sync.Map
	// complaints are the last ones logged of jobs, so that the same is not logged with each news. They belong to the
	// goroutine of run.
	complaints map[uuid.UUID]string
}

func newCollector(c Config, l *ledger) *collector {
	return &collector{
		manager: c.Manager, ledger: l, log: c.Log, retry: c.Rescan, after: c.After,
		due: map[uuid.UUID]bool{}, wake: make(chan struct{}, 1), here: map[uuid.UUID]*sync.Map{},
		complaints: map[uuid.UUID]string{},
	}
}

// mark says that there is news of a job.
func (c *collector) mark(job uuid.UUID) {
	c.mu.Lock()
	c.due[job] = true
	c.mu.Unlock()
	c.signal()
}

func (c *collector) markAll() {
	c.mu.Lock()
	c.every = true
	c.mu.Unlock()
	c.signal()
}

func (c *collector) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// listen takes in events until ctx ends.
func (c *collector) listen(ctx context.Context) error {
	for {
		err := c.manager.Events(ctx, []string{"jobs"}, func(e client.Event) error {
			if e.Type == client.Reconnected {
				c.markAll()
				return nil
			}
			var job wire.JobEvent
			if e.Type == "job" && json.Unmarshal(e.Data, &job) == nil {
				c.mark(job.Id)
			}
			return nil
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // The end of ctx is no error.
		}
		c.log.Warn("the manager sends no events: frames come late", "error", err)
		c.markAll()
		select {
		case <-c.after(c.retry):
		case <-ctx.Done():
		}
	}
}

// run collects until ctx ends.
func (c *collector) run(ctx context.Context) error {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-again:
			again = nil
			c.markAll()
		}
		if !c.collectDue(ctx) && again == nil {
			again = c.after(c.retry)
		}
	}
}

// collectDue brings what is due, and tells whether all of it went well.
func (c *collector) collectDue(ctx context.Context) bool {
	c.mu.Lock()
	due, every := c.due, c.every
	c.due, c.every = map[uuid.UUID]bool{}, false
	c.mu.Unlock()
	records, err := c.ledger.all(ctx, func(r record) bool {
		// A job that failed or was canceled may have been queued again while nobody listened.
		return r.Job != uuid.Nil && (due[r.Job] || every && r.Ended != wire.JobStatusCompleted && r.Ended != gone)
	})
	ok := err == nil
	for _, r := range records {
		err := c.collect(ctx, r.Name, r.Job)
		switch {
		case errors.Is(err, errSuperseded):
			delete(c.here, r.Job)
			delete(c.complaints, r.Job)
		case err == nil:
			delete(c.complaints, r.Job)
		case ctx.Err() == nil:
			ok = false
			if text := err.Error(); c.complaints[r.Job] != text {
				c.complaints[r.Job] = text
				c.log.Warn("frames could not be brought beside their drop; trying again", "drop", r.Name, "job", r.Job, "error", err)
			}
		}
	}
	return ok
}

// collect brings what a job has rendered so far.
func (c *collector) collect(ctx context.Context, name string, id uuid.UUID) error {
	job, err := c.manager.Job(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return c.end(ctx, name, wire.Job{Id: id, Status: gone})
	}
	if err != nil {
		return err
	}
	// The status comes first, so that the list is complete if the job has ended.
	outputs, err := c.manager.Outputs(ctx, id)
	if err != nil {
		return err
	}
	if c.here[id] == nil {
		c.here[id] = new(sync.Map)
	}
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(fetches)
	for _, o := range outputs {
		if digest, ok := c.here[id].Load(o.Path); !ok || digest != o.Sha256 {
			work.Go(func() error { return c.bring(working, name, id, o) })
		}
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return c.end(ctx, name, job)
}

// finished are the states of jobs that render nothing more by themselves.
var finished = []wire.JobStatus{wire.JobStatusCompleted, wire.JobStatusFailed, wire.JobStatusCanceled, gone}

// end takes note of a job's end, and says beside the drop if it failed, or if no worker can render it. A job that goes on is
// none that ended.
func (c *collector) end(ctx context.Context, name string, job wire.Job) error {
	var ended wire.JobStatus
	if slices.Contains(finished, job.Status) {
		ended = job.Status
		delete(c.here, job.Id)
	}
	inability, err := c.inability(ctx, job)
	if err != nil {
		return err
	}
	return c.ledger.change(ctx, name, func(root *os.Root, r *record) error {
		if r.Job != job.Id {
			return errSuperseded
		}
		before := *r
		r.Ended, r.Waits = ended, inability != ""
		if ended != "" && before.Ended != ended {
			c.log.Info("the job of a drop has ended", "drop", name, "job", job.Id, "status", ended)
		}
		switch {
		case *r == before:
			return nil
		case r.Refused != "" || r.Pending != nil:
			return nil // What lies beside the drop is about its newer version.
		case ended == wire.JobStatusFailed:
			return explain(root, name, c.failure(name, job))
		case r.Waits:
			return explain(root, name, fmt.Sprintf("%s waits: no worker can render it now (%s); it goes on by itself as soon as one can.", name, inability))
		case before.Ended == wire.JobStatusFailed || before.Waits:
			return withdraw(root, name)
		}
		return nil
	})
}

// present are the states of workers of which the manager knows what they can do now.
var present = []wire.WorkerStatus{wire.WorkerStatusAwake, wire.WorkerStatusAsleep, wire.WorkerStatusTesting}

// inability says why no worker of the farm can render a job that has not begun; empty if one can, or there is none yet, or one
// is away, which may be able to when it comes back.
func (c *collector) inability(ctx context.Context, job wire.Job) (string, error) {
	if job.Status != wire.JobStatusQueued {
		return "", nil
	}
	can, err := c.manager.EligibleWorkers(ctx, wire.JobNeeds{Requires: job.Requires})
	if err != nil {
		return "", err
	}
	var causes []string
	for _, worker := range can.Workers {
		if worker.Can || !slices.Contains(present, worker.Status) {
			return "", nil
		}
		causes = append(causes, worker.Name+": "+worker.Why)
	}
	return enumerate(causes), nil
}

func (c *collector) failure(name string, job wire.Job) string {
	return fmt.Sprintf("%s was not rendered to the end: its job failed: %s; look at the logs at %s/app/jobs/%s and queue it again there, or put a mended file here.",
		name, job.Activity, c.manager.Address(), job.Id)
}

// bring puts one output beside its drop, whole or not at all. One that is there and right is left alone.
func (c *collector) bring(ctx context.Context, name string, id uuid.UUID, o wire.JobOutput) error {
	inside, err := checkout.ParsePath(o.Path)
	if err != nil {
		c.log.Warn("a frame has a name that not every computer can have", "drop", name, "job", id, "error", err)
		return nil
	}
	root, err := c.ledger.root(ctx)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // Only a folder is open.
	final := path.Join(beside(name, framesSuffix), inside.String())
	if digest, err := digestOf(root, final); err == nil && digest == o.Sha256 {
		c.here[id].Store(o.Path, o.Sha256)
		return nil
	}
	temp := path.Join(ownFolder, fmt.Sprintf("%s%d", fetchingPrefix, c.serial.Add(1)))
	defer root.Remove(temp) //nolint:errcheck // After the rename there is nothing left to remove.
	switch err := c.fetch(ctx, id, o, root, temp); {
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrInvalid), errors.Is(err, errOther):
		// It is being rendered again, or it was moved. If it comes back, there will be news of the job.
		c.log.Warn("a frame is not at the manager any more", "drop", name, "job", id, "frame", o.Path, "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("fetch %s: %w", o.Path, err)
	}
	err = c.ledger.change(ctx, name, func(root *os.Root, r *record) error {
		if r.Job != id {
			return errSuperseded
		}
		if err := root.MkdirAll(path.Dir(final), 0o755); err != nil {
			return err
		}
		return root.Rename(temp, final)
	})
	if err == nil {
		c.here[id].Store(o.Path, o.Sha256)
	}
	return err
}

// errOther: the manager has other bytes than it lists.
var errOther = errors.New("the file was changed since it was rendered")

// fetch writes an output to a file and puts it on stable storage.
func (c *collector) fetch(ctx context.Context, job uuid.UUID, o wire.JobOutput, root *os.Root, name string) error {
	from, err := c.manager.Output(ctx, job, o.Path)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	if err := root.MkdirAll(ownFolder, 0o755); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	got, err := cas.SumReader(io.TeeReader(from, file))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if got.Digest.String() != o.Sha256 {
		return errOther
	}
	return nil
}

func digestOf(root *os.Root, name string) (string, error) {
	file, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	blob, err := cas.SumReader(file)
	return blob.Digest.String(), err
}
