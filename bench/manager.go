package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"golang.org/x/sync/errgroup"

	"hayloft/api"
	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/checkout"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
	"hayloft/scheduler/store"
	"hayloft/scheduler/variables"
	"hayloft/web"
)

// usage is what a process has used.
type usage struct {
	CPU      float64 `json:"cpu"`      // seconds since its start
	Resident int64   `json:"resident"` // bytes of memory now; zero: not known on this platform
	Commits  int64   `json:"commits"`  // of the database, each with an fsync
}

// managerQuestion is what the parent asks the manager's process beside the API.
type managerQuestion struct {
	Do   string `json:"do"`   // address, usage, or profile
	File string `json:"file"` // of a profile; empty ends the one that runs
}

// serveManager is the manager's process: the parts of `hayloft manager`, put together in the same way on a free port.
func serveManager(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("the manager needs one folder")
	}
	// As `hayloft manager` does.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(128 << 20)
	m, err := openManager(ctx, args[0])
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return m.scheduler.Run(ctx) })
	work.Go(func() error { return m.intake.Run(ctx) })
	work.Go(func() error { return m.cutter.Run(ctx) })
	work.Go(func() error { return m.api.Run(ctx) })
	work.Go(func() error { return serveUntil(ctx, m.listener, m.api.Handler()) })
	work.Go(func() error {
		defer stop()
		return answerQuestions(os.Stdin, os.Stdout, m.reply)
	})
	return errors.Join(work.Wait(), m.close())
}

type manager struct {
	database  *store.SQLite
	scheduler *scheduler.Scheduler
	intake    *intake.Intake
	cutter    *intake.Cutter
	api       *api.Server
	listener  net.Listener
	closers   []func() error
	profile   *os.File
}

func openManager(ctx context.Context, dir string) (m *manager, err error) {
	m = &manager{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open the manager: %w", err), m.close())
		}
	}()
	storage, jobFiles, err := managerFolders(dir)
	if err != nil {
		return nil, err
	}
	blobs, err := disk.Open(filepath.Join(storage, "blobs"))
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, blobs.Close)
	checkouts, err := checkout.New(filepath.Join(storage, "jobs"), blobs)
	if err != nil {
		return nil, err
	}
	m.database, err = store.OpenSQLite(ctx, filepath.Join(dir, "hayloft.sqlite"), store.Options{})
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, m.database.Close)
	m.scheduler = scheduler.New(m.database, scheduler.Options{})
	library, err := jobtype.Load(jobtype.Options{})
	if err != nil {
		return nil, err
	}
	m.intake, m.cutter = intake.New(blobs, intake.Config{}), intake.NewCutter(blobs, nil)
	m.api, err = api.New(api.Config{
		Scheduler: m.scheduler, JobTypes: library, Variables: variables.Defaults(),
		Blobs: blobs, Refs: blobs, Inflight: &cas.Inflight{}, Checkouts: checkouts,
		Recipes: blobs, Intake: m.intake, Cutter: m.cutter,
		Page: web.Files(), SharedStorage: storage, JobFiles: jobFiles, Name: "bench", Version: "bench",
	})
	if err != nil {
		return nil, err
	}
	m.listener, err = listenLoopback(ctx)
	return m, err
}

// managerFolders makes the folders that `hayloft manager` makes.
func managerFolders(dir string) (storage, jobFiles string, err error) {
	storage, jobFiles = filepath.Join(dir, "storage"), filepath.Join(dir, "job-files")
	for _, folder := range []string{filepath.Join(storage, "blobs"), filepath.Join(storage, "output"), jobFiles} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", "", err
		}
	}
	return storage, jobFiles, nil
}

func (m *manager) close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	m.closers = nil
	return errors.Join(errs...)
}

func (m *manager) reply(q managerQuestion) (any, error) {
	switch q.Do {
	case "address":
		return "http://" + m.listener.Addr().String(), nil
	case "usage":
		u, err := readUsage()
		u.Commits = m.database.Stats().Commits
		return u, err
	case "profile":
		return nil, m.switchProfile(q.File)
	}
	return nil, fmt.Errorf("no answer to %q", q.Do)
}

// switchProfile ends the running profile, if there is one, and starts the next, if it has a name.
func (m *manager) switchProfile(name string) (err error) {
	if m.profile != nil {
		pprof.StopCPUProfile()
		err = m.profile.Close()
		m.profile = nil
	}
	if name == "" || err != nil {
		return err
	}
	if m.profile, err = os.Create(name); err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	return pprof.StartCPUProfile(m.profile)
}

func listenLoopback(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
}

// serveUntil serves until ctx ends, and then gives requests that are under way some time to end.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if last := <-served; !errors.Is(last, http.ErrServerClosed) {
		err = errors.Join(err, last)
	}
	return err
}

// runningManager is the parent's side of a manager's process.
type runningManager struct {
	*child
	bench *bench
	url   string
}

func (b *bench) startManager(ctx context.Context, dir string) (*runningManager, error) {
	c, err := startChild(ctx, "role:manager", dir)
	if err != nil {
		return nil, err
	}
	m := &runningManager{child: c, bench: b}
	if err := c.ask(managerQuestion{Do: "address"}, &m.url); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return m, nil
}

func (m *runningManager) usage() (u usage, err error) {
	err = m.ask(managerQuestion{Do: "usage"}, &u)
	return u, err
}

// profiled runs one measurement, with a processor profile of the manager if profiles are wanted.
func (m *runningManager) profiled(name string, measure func() error) error {
	if m.bench.profiles == "" {
		return measure()
	}
	if err := m.ask(managerQuestion{Do: "profile", File: filepath.Join(m.bench.profiles, name+".prof")}, nil); err != nil {
		return err
	}
	return errors.Join(measure(), m.ask(managerQuestion{Do: "profile"}, nil))
}

// withManager runs measurements on a new manager with a folder of its own.
func (b *bench) withManager(ctx context.Context, name string, measure func(*runningManager) ([]Row, error)) ([]Row, error) {
	dir, err := b.folder(name)
	if err != nil {
		return nil, err
	}
	m, err := b.startManager(ctx, dir)
	if err != nil {
		return nil, err
	}
	rows, err := measure(m)
	return rows, errors.Join(err, m.stop(), os.RemoveAll(dir))
}
