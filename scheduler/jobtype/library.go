package jobtype

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Limits of a scripts folder.
const (
	// minScriptSize is the size in bytes below which a file holds no script; editors leave such files behind.
	minScriptSize = 8
	maxScriptSize = 512 << 10
	maxScripts    = 1000
)

// DefaultMemoryLimit is by how many bytes memory may grow during one compile unless [Options] say otherwise. A job of a
// million tasks takes two thirds of it.
const DefaultMemoryLimit = 3 << 30

// DefaultTimeLimit is how long one compile may take unless [Options] say otherwise.
const DefaultTimeLimit = 10 * time.Second

//go:embed scripts/*.js
var embedded embed.FS

// Options configure a [Library]. The zero value gives the built-in job types alone.
type Options struct {
	// Scripts is a folder of job types of the farm's own. A script there replaces a built-in one of the same name. Only
	// files at its top are job types; files in sub-folders are for require. Nil means Folder.
	Scripts fs.FS
	// Folder is the path of Scripts on disk. With it, [Library.Watch] learns of changes at once. Empty means that there is
	// none.
	Folder string
	// Location is the time zone of formatTimestampLocal. Nil means the manager's own.
	Location *time.Location
	// TimeLimit bounds each run of a script. 0 means [DefaultTimeLimit].
	TimeLimit time.Duration
	// MemoryLimit, in bytes, stops a script while whose run the memory of the whole process grew by more. 0 means
	// [DefaultMemoryLimit].
	MemoryLimit int64
	// Parallel is how many scripts run at the same time; others wait. 0 means one per CPU.
	Parallel int
	// Log receives what scripts print, and scripts that cannot be used. Nil means nowhere.
	Log *slog.Logger
	// NewID makes the ids of tasks; several goroutines call it at once. Nil means UUIDs ordered by time (RFC 9562, version
	// 7), which keep a job's tasks side by side in an index.
	NewID func() uuid.UUID
	// Now is the clock that scripts see. Nil means time.Now.
	Now func() time.Time
	// WorkingDir is what process.cwd() tells. Empty means the manager's own.
	WorkingDir string
}

func (o Options) withDefaults() (Options, error) {
	if o.Scripts == nil && o.Folder != "" {
		o.Scripts = os.DirFS(o.Folder)
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	if o.TimeLimit <= 0 {
		o.TimeLimit = DefaultTimeLimit
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.NewID == nil {
		o.NewID = func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.WorkingDir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return o, fmt.Errorf("find the working directory for job type scripts: %w", err)
		}
		o.WorkingDir = dir
	}
	return o, nil
}

// Library holds the job types of a farm, each compiled once. It is safe for concurrent use.
type Library struct {
	options Options
	// slots bounds how many engines run at once: each may hold some hundred megabytes for a large job.
	slots chan struct{}
	// reloading holds one token while scripts are read, so that the last reading put up is also the last one begun.
	reloading chan struct{}
	current   atomic.Pointer[shelf]
}

// shelf is one reading of all scripts. It never changes; a reload puts up another one.
type shelf struct {
	types  map[string]*entry
	names  []string
	source *sources
	// seen is the state of the scripts folder from before it was read.
	seen survey
	// replaced is closed when another shelf is put up.
	replaced chan struct{}
}

// entry is one job type, or the reason why its script cannot be used.
type entry struct {
	jobType JobType
	file    *source
	broken  error
}

// Load reads the built-in job types and those of options.Scripts. It fails only when the folder cannot be read or is too
// large. A script that cannot be used is logged, left out of [Library.List], and named by [Library.Get].
func Load(options Options) (*Library, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Library{
		options: options, slots: make(chan struct{}, options.Parallel), reloading: make(chan struct{}, 1),
	}
	l.current.Store(&shelf{source: &sources{}, replaced: make(chan struct{})})
	if err := l.Reload(context.Background()); err != nil {
		return nil, err
	}
	return l, nil
}

// Reload reads all scripts again and puts the result up in one step. Compiles that run meanwhile end with the scripts
// that they began with. When it fails, the library stays as it was.
func (l *Library) Reload(ctx context.Context) error {
	select {
	case l.reloading <- struct{}{}:
		defer func() { <-l.reloading }()
	case <-ctx.Done():
		return fmt.Errorf("wait to load job types: %w", context.Cause(ctx))
	}
	last := l.current.Load()
	next, err := l.readShelf(last.source)
	if err != nil {
		return err
	}
	files, clashes := next.source.jobTypeFiles()
	for _, file := range files {
		e, err := l.declare(ctx, next, file, clashes[file.name])
		name := typeName(file.name)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("load job types: %w", context.Cause(ctx))
		case err != nil:
			l.options.Log.Warn("job type cannot be used", "job_type", name, "script", file.name, "error", err)
			next.types[name] = &entry{file: file, broken: fmt.Errorf("%w: %q: %w", ErrBrokenJobType, name, err)}
		case e != nil:
			next.types[name] = e
			next.names = append(next.names, name)
		}
	}
	slices.Sort(next.names)
	l.current.Store(next)
	close(last.replaced)
	return nil
}

// readShelf reads all script files, which are not run yet.
func (l *Library) readShelf(known *sources) (*shelf, error) {
	s := &shelf{types: map[string]*entry{}, source: &sources{files: map[string]*source{}}, replaced: make(chan struct{})}
	builtin, err := fs.Sub(embedded, "scripts")
	if err != nil {
		return nil, fmt.Errorf("read built-in job types: %w", err)
	}
	if err := s.source.add(builtin, known); err != nil {
		return nil, fmt.Errorf("read built-in job types: %w", err)
	}
	if l.options.Scripts == nil {
		return s, nil
	}
	s.seen = surveyScripts(l.options.Scripts)
	if err := s.source.add(l.options.Scripts, known); err != nil {
		return nil, fmt.Errorf("read the job types of the scripts folder: %w", err)
	}
	return s, nil
}

// Changed returns a channel that is closed when the scripts have been read again after this call, by [Library.Reload]
// or [Library.Watch]. Then List may have another answer.
func (l *Library) Changed() <-chan struct{} { return l.current.Load().replaced }

// List returns all job types that can be used, sorted by name.
func (l *Library) List() []JobType {
	s := l.current.Load()
	types := make([]JobType, len(s.names))
	for i, name := range s.names {
		types[i] = s.types[name].jobType
	}
	return types
}

// Get returns one job type. It returns [ErrUnknownJobType] for a name that no script has, and [ErrBrokenJobType] with the
// reason where the script cannot be used.
func (l *Library) Get(name string) (JobType, error) {
	e, err := l.current.Load().find(name)
	if err != nil {
		return JobType{}, err
	}
	return e.jobType, nil
}

func (s *shelf) find(name string) (*entry, error) {
	e, ok := s.types[name]
	if !ok {
		return nil, unknownJobType(name, s.names)
	}
	return e, e.broken
}

// declare runs a script to learn its JOB_TYPE. It returns nil for a file that declares no job type at all: such a file is
// there for others to require. Clash is another file of the same job type name, if there is one.
func (l *Library) declare(ctx context.Context, s *shelf, file *source, clash string) (*entry, error) {
	if clash != "" {
		return nil, fmt.Errorf("scripts %s and %s have the same job type name; rename one", clash, file.name)
	}
	var declaration string
	var hasCompile bool
	err := l.run(ctx, s, file, func(e *engine) error {
		var err error
		declaration, hasCompile, err = e.declaration()
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case declaration == "" && !hasCompile:
		return nil, nil
	case declaration == "":
		return nil, fmt.Errorf("%s has compileJob but no JOB_TYPE", file.name)
	case !hasCompile:
		return nil, fmt.Errorf("%s has JOB_TYPE but no function compileJob", file.name)
	}
	t, err := parseDeclaration(typeName(file.name), []byte(declaration))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.name, err)
	}
	return &entry{jobType: t, file: file}, nil
}

// typeName is the job type name of a script file.
func typeName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), scriptSuffix), "_", "-")
}
