package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"hayloft/scheduler"
)

// PostResults is the key of a job's metadata whose value is the URL to which the manager POSTs each output of the job.
//
// Each output is delivered at least once: until the receiver answers 2xx, it is sent again, with growing pauses, for as
// long as the job exists. They come one at a time, in the order in which their files were finished. What was delivered is
// written down before the next one is sent; an output that is rendered again to the same bytes is not sent again.
const PostResults = "post-results"

// Headers of a delivery. Names may hold what headers cannot; those are encoded as of RFC 2047.
const (
	headerJob      = "Hayloft-Job"
	headerJobName  = "Hayloft-Job-Name"
	headerTask     = "Hayloft-Task"
	headerTaskName = "Hayloft-Task-Name"
	headerPath     = "Hayloft-Path" // of the output, below the job's output folder
	headerDigest   = "Content-Digest"
	headerOnce     = "Idempotency-Key" // the same for each attempt to deliver one output
)

const (
	maxPosts       = 8    // attempts that are under way at a time, of all jobs
	maxNewOutputs  = 4096 // tasks that wait to be looked up; past it all jobs are looked at
	firstPostPause = time.Second
	lastPostPause  = 5 * time.Minute
	postTime       = time.Minute // for one attempt, beside what its bytes take
	postSpeed      = 128 << 10   // bytes a second that a receiver must take at least
)

// checkPostURL refuses a job whose results could never be delivered.
func checkPostURL(metadata map[string]string) error {
	text, asked := metadata[PostResults]
	if !asked {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%w: metadata %s is %q; it must be a URL such as http://receiver:9000/frames", errInvalid, PostResults, text)
	}
	return nil
}

// poster delivers the outputs of jobs that ask for it. A slow or absent receiver delays only its own job's deliveries.
type poster struct {
	server *Server
	http   *http.Client
	slots  chan struct{}
	woken  chan struct{}

	mu      sync.Mutex
	jobs    map[scheduler.JobID]bool // that ask for it; true: look for new outputs
	tasks   map[scheduler.TaskID]struct{}
	running map[scheduler.JobID]bool
}

func newPoster(s *Server) *poster {
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	return &poster{
		server: s, slots: make(chan struct{}, maxPosts), woken: make(chan struct{}, 1),
		jobs: map[scheduler.JobID]bool{}, tasks: map[scheduler.TaskID]struct{}{}, running: map[scheduler.JobID]bool{},
		http: &http.Client{
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
				TLSHandshakeTimeout: 30 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1},
			// A redirected POST would become a GET without the result.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// submitted takes note of a new job.
func (p *poster) submitted(job scheduler.Job) {
	if _, asks := job.Metadata[PostResults]; !asks {
		return
	}
	p.mu.Lock()
	p.jobs[job.ID] = true
	p.mu.Unlock()
	p.wake()
}

// produced takes note that a task has new outputs. It never waits, and costs nothing where no job asks for deliveries.
func (p *poster) produced(task scheduler.TaskID) {
	p.mu.Lock()
	waiting := len(p.jobs) > 0
	switch {
	case !waiting:
	case len(p.tasks) < maxNewOutputs:
		p.tasks[task] = struct{}{}
	default:
		p.allLocked()
	}
	p.mu.Unlock()
	if waiting {
		p.wake()
	}
}

func (p *poster) allLocked() {
	for id := range p.jobs {
		p.jobs[id] = true
	}
}

func (p *poster) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends. What is not delivered by then is found again at the next start.
func (p *poster) run(ctx context.Context) error {
	defer p.http.CloseIdleConnections()
	if err := p.findJobs(ctx); err != nil {
		return err
	}
	deliveries, ctx := errgroup.WithContext(ctx)
	for ctx.Err() == nil {
		p.lookUpTasks(ctx)
		for _, id := range p.due() {
			deliveries.Go(func() error {
				p.deliver(ctx, id)
				return nil
			})
		}
		select {
		case <-p.woken:
		case <-ctx.Done():
		}
	}
	return deliveries.Wait()
}

// findJobs looks for the jobs that ask for deliveries.
func (p *poster) findJobs(ctx context.Context) error {
	for query := (scheduler.JobQuery{Limit: listPage}); ; {
		jobs, err := p.server.Scheduler.Jobs(ctx, query)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("look for jobs whose results are to be posted: %w", err)
		}
		for _, job := range jobs {
			p.submitted(job)
			query.Before = job.ID
		}
		if len(jobs) < listPage {
			return nil
		}
	}
}

// lookUpTasks finds the jobs of tasks that have new outputs.
func (p *poster) lookUpTasks(ctx context.Context) {
	p.mu.Lock()
	tasks := p.tasks
	p.tasks = map[scheduler.TaskID]struct{}{}
	p.mu.Unlock()
	for id := range tasks {
		task, err := p.server.Scheduler.Task(ctx, id)
		p.mu.Lock()
		_, asks := p.jobs[task.Job]
		switch {
		case errors.Is(err, scheduler.ErrNotFound):
		case err != nil:
			p.allLocked()
		case asks:
			p.jobs[task.Job] = true
		}
		p.mu.Unlock()
	}
}

// due gives the jobs that have something to deliver and whose deliveries do not run, and counts them as running.
func (p *poster) due() (ids []scheduler.JobID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, look := range p.jobs {
		if look && !p.running[id] {
			p.jobs[id], p.running[id] = false, true
			ids = append(ids, id)
		}
	}
	return ids
}

// deliver sends what a job has, and looks once more for what came meanwhile.
func (p *poster) deliver(ctx context.Context, id scheduler.JobID) {
	pause, gone := firstPostPause, false
	for ctx.Err() == nil {
		err := p.deliverAll(ctx, id, func() { pause = firstPostPause })
		if gone = errors.Is(err, scheduler.ErrNotFound); gone || (err == nil && p.rest(id)) {
			break
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if pause == firstPostPause {
			p.server.log.Warn("a result could not be posted; it is tried again until the receiver takes it", "job", id, "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, lastPostPause)
	}
	p.mu.Lock()
	delete(p.running, id)
	if gone {
		delete(p.jobs, id)
	}
	p.mu.Unlock()
	p.wake()
}

// rest tells whether nothing came since the outputs were listed.
func (p *poster) rest(id scheduler.JobID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	more := p.jobs[id]
	p.jobs[id] = false
	return !more
}

// finished is an output with the time at which its file was finished.
type finished struct {
	scheduler.Output
	at time.Time
}

// deliverAll sends all that was not delivered. The error is that of the first output that could not be.
func (p *poster) deliverAll(ctx context.Context, id scheduler.JobID, took func()) error {
	job, err := p.server.Scheduler.Job(ctx, id)
	if err != nil {
		return err
	}
	if !job.DeleteRequestedAt.IsZero() {
		return fmt.Errorf("job %s is being deleted: %w", id, scheduler.ErrNotFound)
	}
	outputs, err := p.server.Scheduler.Outputs(ctx, id)
	if err != nil {
		return err
	}
	ledger, err := openPosted(p.server.jobFilesDir(id))
	if err != nil {
		return err
	}
	defer ledger.close()
	var waiting []finished
	for _, o := range outputs {
		if ledger.has(o) {
			continue
		}
		file, info, err := p.server.openOutput(o)
		if errors.Is(err, scheduler.ErrNotFound) || errors.Is(err, errInvalid) {
			p.server.log.Warn("a result is not posted, since its file cannot be read", "job", id, "output", o.Path, "error", err)
			continue
		}
		if err != nil {
			return err
		}
		_ = file.Close() // It was only looked at.
		waiting = append(waiting, finished{o, info.ModTime()})
	}
	slices.SortStableFunc(waiting, func(a, b finished) int { return a.at.Compare(b.at) })
	for _, o := range waiting {
		if err := p.send(ctx, job, o.Output); err != nil {
			return err
		}
		if err := ledger.add(o.Output); err != nil {
			return err
		}
		took()
	}
	return nil
}

// send makes one attempt to deliver one output.
func (p *poster) send(ctx context.Context, job scheduler.Job, o scheduler.Output) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.slots }()
	task, err := p.server.Scheduler.Task(ctx, o.Task)
	if err != nil {
		return err
	}
	file, info, err := p.server.openOutput(o)
	if err != nil {
		// It was there a moment ago. What has become of it is seen in the next round.
		return fmt.Errorf("post %s: %v", o.Path, err) //nolint:errorlint // ErrNotFound would mean that the job is gone.
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(ctx, postTime+time.Duration(info.Size()/postSpeed)*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, job.Metadata[PostResults], io.NopCloser(file))
	if err != nil {
		return fmt.Errorf("post %s: %w", o.Path, err)
	}
	request.ContentLength = info.Size()
	if info.Size() == 0 {
		request.Body = http.NoBody
	}
	if err := p.describe(request, job, task, o); err != nil {
		return fmt.Errorf("post %s: %w", o.Path, err)
	}
	answer, err := p.http.Do(request)
	if err != nil {
		return fmt.Errorf("post %s: %w", o.Path, err)
	}
	// The rest of an answer is read so that the connection can be used again; what it says does not matter.
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10)
	_ = answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("post %s: the receiver answered %s", o.Path, answer.Status)
	}
	return nil
}

// describe says in the headers whose result it is.
func (p *poster) describe(request *http.Request, job scheduler.Job, task scheduler.Task, o scheduler.Output) error {
	digest, err := hex.DecodeString(o.SHA256)
	if err != nil {
		return err
	}
	mediaType := mime.TypeByExtension(path.Ext(o.Path))
	if mediaType == "" {
		mediaType = octetStream
	}
	for name, value := range map[string]string{
		"Content-Type": mediaType, "User-Agent": "Hayloft/" + p.server.Version,
		headerJob: job.ID.String(), headerJobName: mime.QEncoding.Encode("utf-8", job.Name),
		headerTask: task.ID.String(), headerTaskName: mime.QEncoding.Encode("utf-8", task.Name),
		headerPath:   mime.QEncoding.Encode("utf-8", o.Path),
		headerDigest: "sha-256=:" + base64.StdEncoding.EncodeToString(digest) + ":", // RFC 9530
		headerOnce:   `"` + postedKey(o) + `"`,
	} {
		request.Header.Set(name, value)
	}
	return nil
}
