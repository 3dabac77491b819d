package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"hayloft/addon"
	"hayloft/api"
	"hayloft/api/client"
	"hayloft/api/discovery"
	"hayloft/api/mqtt"
	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/cas/intake"
	"hayloft/checkout"
	"hayloft/cmd/cli"
	"hayloft/cmd/dropfolder"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
	"hayloft/scheduler/store"
	"hayloft/scheduler/variables"
	"hayloft/web"
)

// managerConfig is what a manager is started with.
type managerConfig struct {
	data, storage, listen, jobTypes, name string
	trustedNetwork, shaman, discoverable  bool
	mqtt                                  mqtt.Config
	downloads, watched                    string
	quiet                                 time.Duration
	settings                              string // path of the YAML file
	limits                                scheduler.Limits
	variables                             variables.Set
	log                                   *slog.Logger
}

func (c *managerConfig) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.data, "data", "hayloft-data", "`folder` of everything that is private to the manager")
	f.StringVar(&c.storage, "storage", "", "`folder` that workers may mount: blobs, checkouts, rendered frames (default DATA/storage)")
	f.StringVar(&c.listen, "listen", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	f.StringVar(&c.jobTypes, "job-types", "", "`folder` with job types of your own, one .js file each")
	f.StringVar(&c.name, "name", "Hayloft", "`name` of the farm, as people see it")
	f.StringVar(&c.downloads, "downloads", "", "`folder` with builds of hayloft for artists' machines (default: \"downloads\" beside this program; `make release` fills it)")
	f.StringVar(&c.watched, "watch", "", "`folder` in which a zip, a folder or a .blend that is dropped becomes a job")
	f.DurationVar(&c.quiet, "watch-quiet", 10*time.Second, "how long what was dropped must not have grown before it is taken")
	f.BoolVar(&c.trustedNetwork, "trusted-network", false, "everybody who can reach the address may use the farm: needed to listen on more than loopback")
	f.BoolVar(&c.shaman, "shaman", true, "submitters send files to the asset store; false: they copy them to the storage folder themselves")
	f.BoolVar(&c.discoverable, "discoverable", false, "workers and add-ons on the local network find the manager by themselves (SSDP)")
	f.StringVar(&c.mqtt.Broker, "mqtt-broker", "", "publish events to this MQTT broker, `URL`")
	f.StringVar(&c.mqtt.ClientID, "mqtt-client-id", "flamenco", "`name` of the manager at the broker")
	f.StringVar(&c.mqtt.TopicPrefix, "mqtt-topic-prefix", "flamenco", "`prefix` of all topics")
	f.StringVar(&c.mqtt.Username, "mqtt-username", "", "`user` at the broker")
	f.StringVar(&c.mqtt.Password, "mqtt-password", "", "`password` at the broker; better in the environment or the file")
	f.DurationVar(&c.limits.WorkerTimeout, "worker-timeout", time.Minute, "silence after which a worker counts as gone")
	f.DurationVar(&c.limits.TaskTimeout, "task-timeout", 10*time.Minute, "silence about a running task after which it has failed")
	f.DurationVar(&c.limits.TaskSilence, "task-silence", 0, "end a running task that reports nothing for this long; 0: never")
	f.DurationVar(&c.limits.TaskTotal, "task-limit", 0, "end a task that runs for longer than this; 0: never")
	f.IntVar(&c.limits.TaskAttempts, "task-attempts", 3, "failed attempts after which a task fails for good")
	f.IntVar(&c.limits.BlockAfter, "block-after", 3, "failed tasks of one type in a job that take a worker off it")
}

func (a *app) managerCommand() *cobra.Command {
	var config managerConfig
	cmd := &cobra.Command{
		Use: "manager", Short: "Run the manager: store, scheduler, API and page", Args: none,
		Example: cli.Examples(
			"hayloft manager --data /srv/hayloft --listen 127.0.0.1:8080",
			"hayloft manager --data /srv/hayloft --storage /mnt/farm --listen :8080 --trusted-network"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.completeManager(&config); err != nil {
				return err
			}
			m, err := openManager(cmd.Context(), config)
			if err != nil {
				return err
			}
			if err := a.announce(m); err != nil {
				return errors.Join(err, m.close())
			}
			return m.run(cmd.Context())
		},
	}
	config.flags(cmd)
	return cmd
}

// completeManager adds what does not come from flags.
func (a *app) completeManager(config *managerConfig) error {
	config.log = a.logger()
	config.variables = parseVariables(a.file.Variables)
	config.settings = a.settingsPath(config.data)
	if err := config.variables.Validate(); err != nil {
		return cli.Usage("configuration %s: %w", a.file.Path, err)
	}
	return nil
}

// announce prints where the farm is, for people and for scripts that wait for this line.
func (a *app) announce(m *manager) error {
	if a.JSON {
		return a.PrintJSON(map[string]string{"url": m.url()})
	}
	_, err := fmt.Fprintf(a.Stdout, "Hayloft is at %s/\n", m.url())
	return err
}

// manager is a running manager's parts.
type manager struct {
	log       *slog.Logger
	blobs     *disk.Store
	intake    *intake.Intake
	cutter    *intake.Cutter
	store     *store.SQLite
	scheduler *scheduler.Scheduler
	jobTypes  *jobtype.Library
	api       *api.Server
	outreach  outreach
	listener  net.Listener
	http      *http.Server
	dropped   *dropfolder.Config // nil: no folder is watched
	closers   []func() error
}

// openManager takes the address and wires a manager from its folders up to its handler. Nothing runs yet.
func openManager(ctx context.Context, config managerConfig) (*manager, error) {
	if err := checkListen(config); err != nil {
		return nil, err
	}
	m := &manager{log: config.log}
	if err := m.open(ctx, config); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// open makes the parts of a manager. After an error, those that were made are left to close.
func (m *manager) open(ctx context.Context, config managerConfig) error {
	// The address comes first, so that a port in use leaves no folders behind.
	if err := m.listen(ctx, config.listen); err != nil {
		return err
	}
	folders, err := config.folders()
	if err != nil {
		return err
	}
	if err := folders.make(); err != nil {
		return err
	}
	if m.outreach, err = newOutreach(config); err != nil {
		return err
	}
	checkouts, err := m.openBlobs(folders)
	if err != nil {
		return err
	}
	if m.store, err = store.OpenSQLite(ctx, folders.database, store.Options{}); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	m.closers = append(m.closers, m.store.Close)
	m.scheduler = scheduler.New(m.store, scheduler.Options{Logger: config.log, Limits: config.limits})
	m.jobTypes, err = jobtype.Load(jobtype.Options{Folder: config.jobTypes, Log: config.log})
	if err != nil {
		return fmt.Errorf("load job types: %w", err)
	}
	if err := m.openAPI(config, folders, checkouts); err != nil {
		return err
	}
	if err := m.openWatched(config); err != nil {
		return err
	}
	m.http = &http.Server{Handler: m.api.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute,
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)}
	return nil
}

// openBlobs opens the asset store with what takes blobs in and what lays them out.
func (m *manager) openBlobs(folders folders) (*checkout.Checkouts, error) {
	var err error
	if m.blobs, err = disk.Open(folders.blobs); err != nil {
		return nil, fmt.Errorf("open the asset store: %w", err)
	}
	m.closers = append(m.closers, m.blobs.Close)
	m.intake = intake.New(m.blobs, intake.Config{Failed: func(blob cas.Blob, err error) {
		m.log.Warn("what an upload left could not be removed", "blob", blob, "error", err)
	}})
	m.cutter = intake.NewCutter(m.blobs, func(blob cas.Blob, err error) {
		m.log.Warn("a blob could not be cut: its next version will travel whole", "blob", blob, "error", err)
	})
	checkouts, err := checkout.New(folders.jobs, m.blobs)
	if err != nil {
		return nil, fmt.Errorf("open the checkouts: %w", err)
	}
	return checkouts, nil
}

// openAPI puts the API together from the other parts.
func (m *manager) openAPI(config managerConfig, folders folders, checkouts *checkout.Checkouts) error {
	own := ownVersion()
	downloads, err := newPrograms(config.downloads)
	if err != nil {
		return err
	}
	var blenderAddon bytes.Buffer
	if err := addon.Zip(&blenderAddon, own.Version); err != nil {
		return err
	}
	m.api, err = api.New(api.Config{
		Scheduler: m.scheduler, JobTypes: m.jobTypes, Variables: config.variables,
		Blobs: m.blobs, Refs: m.blobs, Inflight: &cas.Inflight{}, Checkouts: checkouts,
		Recipes: m.blobs, Intake: m.intake, Cutter: m.cutter, OwnAddon: blenderAddon.Bytes(), Downloads: downloads,
		Page: web.Files(), SharedStorage: folders.storage, JobFiles: folders.jobFiles,
		Name: config.name, Version: own.Version, Git: own.Revision, Logger: config.log,
		ShamanEnabled: &config.shaman, Description: discovery.Description(config.name), Mirror: m.mirror(),
		File: settingsFile{config.settings, config},
	})
	if err != nil {
		return fmt.Errorf("make the API: %w", err)
	}
	return nil
}

// listen takes the address.
func (m *manager) listen(ctx context.Context, address string) (err error) {
	if m.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address); err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	m.closers = append(m.closers, func() error {
		if err := m.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// checkListen refuses to serve people who were not invited.
func checkListen(config managerConfig) error {
	host, _, err := net.SplitHostPort(config.listen)
	if err != nil {
		return cli.Usage("--listen %s: %w; it looks like 127.0.0.1:8080", config.listen, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) || config.trustedNetwork {
		return nil
	}
	return cli.Usage("--listen %s is open to other machines, and whoever reaches it can run programs on the workers; "+
		"add --trusted-network if everybody there may, or listen on 127.0.0.1", config.listen)
}

type folders struct{ data, storage, blobs, jobs, output, jobFiles, database string }

// folders says where everything of this manager lies, absolutely.
func (c managerConfig) folders() (folders, error) {
	data, err := filepath.Abs(c.data)
	if err != nil {
		return folders{}, fmt.Errorf("data folder %s: %w", c.data, err)
	}
	storage := filepath.Join(data, "storage")
	if c.storage != "" {
		if storage, err = filepath.Abs(c.storage); err != nil {
			return folders{}, fmt.Errorf("storage folder %s: %w", c.storage, err)
		}
	}
	return folders{
		data: data, storage: storage,
		blobs: filepath.Join(storage, "blobs"), jobs: filepath.Join(storage, "jobs"), output: filepath.Join(storage, "output"),
		jobFiles: filepath.Join(data, "job-files"), database: filepath.Join(data, "hayloft.sqlite"),
	}, nil
}

func (f folders) make() error {
	for _, dir := range []string{f.data, f.storage, f.blobs, f.jobs, f.output, f.jobFiles} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder: %w; choose another with --data or --storage", err)
		}
	}
	return nil
}

// mirror is the broker as the API takes it; an absent one is a plain nil.
func (m *manager) mirror() api.Mirror {
	if m.outreach.publisher == nil {
		return nil
	}
	return m.outreach.publisher
}

// url is the manager's address as a browser on this machine needs it.
func (m *manager) url() string {
	address := m.listener.Addr().(*net.TCPAddr)
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(address.Port))
}

// shutdownTime is how long requests that are under way may take to end.
const shutdownTime = 10 * time.Second

// tuneMemory trades a little memory for much less collecting. A manager keeps little and makes much garbage, so a heap that
// is small when it is collected costs a tenth of all its time; beyond the limit the collector works harder again.
func tuneMemory() {
	const percent, limit = 400, 128 << 20
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
}

// run serves until ctx ends, and closes everything in the reverse order of its making.
func (m *manager) run(ctx context.Context) error {
	tuneMemory()
	publishing, endPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer endPublishing()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return m.scheduler.Run(ctx) })
	work.Go(func() error { return m.jobTypes.Watch(ctx) })
	work.Go(func() error { return m.intake.Run(ctx) })
	work.Go(func() error { return m.cutter.Run(ctx) })
	work.Go(func() error { return m.reachOut(ctx, publishing) })
	work.Go(func() error { return m.watchFolder(ctx) })
	work.Go(func() error {
		err := m.http.Serve(m.listener)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve: %w", err)
	})
	work.Go(func() error {
		err := m.api.Run(ctx)
		endPublishing()
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if shutdown := m.http.Shutdown(stop); shutdown != nil {
			m.log.Warn("requests were cut off at the stop", "error", shutdown)
			_ = m.http.Close()
		}
		return err
	})
	err := work.Wait()
	return errors.Join(err, m.close())
}

func (m *manager) close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	m.closers = nil
	return errors.Join(errs...)
}

// openWatched makes ready to watch a folder, if the configuration names one. The folder is a submitter like any other: it
// goes through the manager's own address.
func (m *manager) openWatched(config managerConfig) error {
	if config.watched == "" {
		return nil
	}
	info, err := os.Stat(config.watched)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", config.watched)
	}
	if err != nil {
		return cli.Usage("--watch: %w", err)
	}
	folders, err := config.folders()
	if err != nil {
		return err
	}
	spool := filepath.Join(folders.data, "dropfolder")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return fmt.Errorf("make the folder for archives: %w", err)
	}
	c, err := client.New(m.url(), software())
	if err != nil {
		return err
	}
	m.closers = append(m.closers, func() error { c.Close(); return nil })
	m.dropped = &dropfolder.Config{Dir: config.watched, Manager: c, Quiet: config.quiet, Spool: spool, Log: config.log}
	return nil
}

// watchFolder turns what is dropped into jobs, until ctx ends.
func (m *manager) watchFolder(ctx context.Context) error {
	if m.dropped == nil {
		return nil
	}
	err := dropfolder.Run(ctx, *m.dropped)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // The manager is ending; nobody is left to be told.
	}
	return err
}
