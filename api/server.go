package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"hayloft/api/gen"
	"hayloft/cas"
	"hayloft/cas/pack"
	"hayloft/checkout"
	"hayloft/scheduler"
	"hayloft/scheduler/jobtype"
	"hayloft/scheduler/variables"
)

// DefaultFlamencoVersion is the version that clients are told when they do not say their own.
const DefaultFlamencoVersion = "3.9-beta1"

// Config is what a [Server] is made of. What may be left out says so.
type Config struct {
	Scheduler *scheduler.Scheduler
	JobTypes  *jobtype.Library
	Variables variables.Set
	Blobs     cas.Store
	Refs      Refs
	Inflight  *cas.Inflight
	Recipes   Recipes
	Intake    Intake // takes in what clients of Hayloft send
	Cutter    Cutter // nil: blobs that came whole get no recipes
	Checkouts *checkout.Checkouts

	Page        fs.FS        // built files of the page; nil serves none
	Description http.Handler // UPnP description for workers that search; nil: they cannot
	Addon       string       // path of Flamenco's Blender add-on to hand out, a ZIP file; empty: none
	OwnAddon    []byte       // Hayloft's own Blender add-on, a ZIP file; nil: none
	Downloads   Downloads    // programs to hand out; nil: none
	Mirror      Mirror       // a message broker that hears of every event; nil: none
	File        ConfigFile   // where changed settings are kept; nil: they cannot be changed

	// SharedStorage is the absolute path of the folder that workers may mount; checkouts lie in jobs/, rendered files in
	// output/ below it.
	SharedStorage string
	// ShamanEnabled tells submitters to send files by the Shaman API; nil means yes. If not, that API answers 503 and
	// jobs lie in SharedStorage itself, where submitters copy their files to.
	ShamanEnabled *bool
	// JobFiles is the folder of the manager's own files of each job, such as previews.
	JobFiles string

	Name            string // of the farm, shown to people
	Version         string // Hayloft's own
	Git             string // revision that the binary was built from; may be empty
	FlamencoVersion string // default DefaultFlamencoVersion

	Logger *slog.Logger     // default: discard
	Now    func() time.Time // default: time.Now
}

// Server answers the API, serves the page and does the background work that goes with both. Its methods may be called
// from many goroutines.
type Server struct {
	Config
	log     *slog.Logger
	echo    *echo.Echo
	spec    []byte // openapi.yaml as JSON
	uploads chan struct{}
	reads   chan struct{}
	streams chan struct{}

	recipes  *semaphore.Weighted // bytes of recipes that are being received
	counting chan struct{}       // the one token of who counts what refs hold

	blenders    chan struct{} // a token for each Blender that is asked for its version
	configuring chan struct{} // the one token of who changes the configuration

	names atomic.Pointer[names]

	largeJobs  *memoryReturner
	deletions  *jobDeleter
	previews   *previewMaker
	farmStatus *farmStatus
	posts      *poster

	stopping chan struct{} // closed when Run ends, so that held requests end too
	stopOnce sync.Once
}

var _ gen.StrictServerInterface = (*Server)(nil)

// Bounds of what is under way at the same time.
const (
	maxUploads  = 64 // further uploads wait before their body is read
	maxReads    = 64 // answers of many files or chunks; further ones wait
	maxRecipes  = 2 * pack.MaxRecipe
	maxStreams  = 1000 // event streams; further ones get 503
	maxBlenders = 2    // that tell their versions
)

// New makes a server and starts nothing; see [Server.Handler] and [Server.Run].
func New(config Config) (*Server, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.FlamencoVersion == "" {
		config.FlamencoVersion = DefaultFlamencoVersion
	}
	if !filepath.IsAbs(config.SharedStorage) || !filepath.IsAbs(config.JobFiles) {
		return nil, fmt.Errorf("shared storage %q and job files %q must be absolute paths", config.SharedStorage, config.JobFiles)
	}
	doc, err := loadContract()
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write openapi.yaml as JSON: %w", err)
	}
	s := &Server{
		Config: config, log: config.Logger, spec: spec,
		uploads:  make(chan struct{}, maxUploads),
		reads:    make(chan struct{}, maxReads),
		streams:  make(chan struct{}, maxStreams),
		recipes:  semaphore.NewWeighted(maxRecipes),
		counting: make(chan struct{}, 1),
		blenders: make(chan struct{}, maxBlenders), configuring: make(chan struct{}, 1),
		stopping: make(chan struct{}),
	}
	s.useVariables(config.Variables)
	s.largeJobs = newMemoryReturner()
	s.deletions = newJobDeleter(s)
	s.previews = newPreviewMaker(s)
	s.farmStatus = newFarmStatus(s)
	s.posts = newPoster(s)
	s.route(doc)
	return s, nil
}

// Handler answers all requests of the manager's port.
func (s *Server) Handler() http.Handler { return s.echo }

// Run does the background work until ctx ends: it deletes jobs that were asked to go, makes previews and watches the
// status of the farm. When it returns, held requests and event streams are being ended, so that [http.Server.Shutdown]
// after it does not wait for them.
func (s *Server) Run(ctx context.Context) error {
	defer s.stopOnce.Do(func() { close(s.stopping) })
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return s.largeJobs.run(ctx) })
	work.Go(func() error { return s.deletions.run(ctx) })
	work.Go(func() error { return s.previews.run(ctx) })
	work.Go(func() error { return s.posts.run(ctx) })
	work.Go(func() error { return s.farmStatus.run(ctx) })
	work.Go(func() error { return s.mirror(ctx) })
	err := work.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// route builds the router: the operations of the contract, each behind its guard, and the files beside them.
func (s *Server) route(doc *openapi3.T) {
	e := echo.New()
	e.HTTPErrorHandler = s.writeError
	e.JSONSerializer = strictJSON{}
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(s.recoverPanic)
	gen.RegisterHandlersWithOptions(e, gen.NewStrictHandler(s, nil), gen.RegisterHandlersOptions{
		OperationMiddlewares: s.guards(doc),
	})
	s.routeFiles(e)
	s.echo = e
}

// recoverPanic turns a panic of a handler into an error of that one request. [http.ErrAbortHandler] stays what it is: the
// order to cut the connection.
func (s *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			fault := recover()
			if fault == nil {
				return
			}
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
			err = fmt.Errorf("handler panicked: %v\n%s", fault, debug.Stack())
		}()
		return next(c)
	}
}

// shamanOn tells whether submitters send files by the Shaman API.
func (s *Server) shamanOn() bool { return s.ShamanEnabled == nil || *s.ShamanEnabled }

// jobsRoot is where the files of jobs lie, as the manager sees it; the value of the variable "jobs".
func (s *Server) jobsRoot() string {
	if !s.shamanOn() {
		return s.SharedStorage
	}
	return filepath.Join(s.SharedStorage, "jobs")
}

// outputRoot is where rendered files lie, as the manager sees it; the value of the variable "output".
func (s *Server) outputRoot() string { return filepath.Join(s.SharedStorage, "output") }
