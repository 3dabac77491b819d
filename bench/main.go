package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// suite is one topic of the report. Suites do not depend on each other, so that any of them can run alone.
type suite struct {
	name string
	run  func(context.Context, *bench) ([]Row, error)
}

var suites = []suite{
	{"machine", measureMachine},
	{"dispatch", measureDispatch},
	{"upload", measureUpload},
	{"checkout", measureCheckout},
	{"submission", measureSubmission},
	{"worker", measureWorker},
	{"deletion", measureDeletion},
	{"project", measureProject},
	{"scene", measureScene},
	{"trace", measureTrace},
	{"files", measureFiles},
	{"resume", measureResume},
	{"peer", measurePeer},
}

// bench is what all suites share.
type bench struct {
	quick    bool
	dir      string // for everything that is written; removed at the end
	profiles string // folder for processor profiles of the manager; empty: none
	peer     string // URL of another manager; empty: none
	binaries string // folder of the programs under test; empty: they are built when they are needed

	notes Section // what the suite that runs has noted beside its rows
}

// note keeps what a program used for one piece of work.
func (b *bench) note(r Run) { b.notes.Runs = append(b.notes.Runs, r) }

// plot keeps a chart, if there is something to compare.
func (b *bench) plot(c Chart) {
	if len(c.Bars) > 1 {
		b.notes.Charts = append(b.notes.Charts, c)
	}
}

// pick gives the size of a measurement: in small or in full.
func pick[T any](b *bench, small, full T) T {
	if b.quick {
		return small
	}
	return full
}

// folder makes a folder of its own for one measurement.
func (b *bench) folder(name string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, name+"-")
	if err != nil {
		return "", fmt.Errorf("make a folder for %s: %w", name, err)
	}
	return dir, nil
}

type options struct {
	bench
	only    *regexp.Regexp
	out     string
	asJSON  bool
	dataDir string
	print   io.Writer // takes the report
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if role, ok := roles[args[0]]; ok {
			return role(ctx, args[1:])
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	return o.measure(ctx)
}

func parseOptions(args []string) (*options, error) {
	o := &options{bench: bench{peer: os.Getenv("HAYLOFT_BENCH_FLAMENCO")}, print: os.Stdout}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "measure in small: shorter, and no more than 50,000 queued tasks")
	only := flags.String("only", "", "`pattern` of the suites to run: machine, dispatch, upload, checkout, submission, worker, deletion, project, scene, trace, files, resume, peer")
	flags.StringVar(&o.out, "out", filepath.Join("bench", "report"), "`folder` for the report")
	flags.BoolVar(&o.asJSON, "json", false, "print the report as JSON instead of Markdown")
	flags.StringVar(&o.dataDir, "dir", "", "`folder` on the disk to measure (default: the system's folder for temporary files)")
	flags.StringVar(&o.binaries, "bin", "", "`folder` with built programs cas and hayloft (default: they are built)")
	flags.StringVar(&o.profiles, "cpuprofile", "", "`folder` for processor profiles of the manager, one a measurement")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; see bench -help", flags.Arg(0))
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-only %q is not a pattern: %w", *only, err)
	}
	return o, nil
}

// measure runs the suites and writes the report, also when a suite failed: what was measured stays worth having.
func (o *options) measure(ctx context.Context) (err error) {
	if o.dir, err = os.MkdirTemp(o.dataDir, "hayloft-bench-"); err != nil {
		return fmt.Errorf("make the folder for all data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o777); err != nil {
			return fmt.Errorf("make the folder for profiles: %w", err)
		}
		if o.profiles, err = filepath.Abs(o.profiles); err != nil {
			return fmt.Errorf("folder for profiles: %w", err)
		}
	}
	report := Report{Quick: o.quick, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU()}
	others := watchOthers()
	var failed []error
	partial := false
	for _, s := range suites {
		if !o.only.MatchString(s.name) {
			partial = true
			continue
		}
		started := time.Now()
		fmt.Fprintf(os.Stderr, "%s …", s.name)
		o.notes = Section{Name: s.name}
		rows, err := s.run(ctx, &o.bench)
		if err != nil {
			failed = append(failed, fmt.Errorf("measure %s: %w", s.name, err))
		}
		fmt.Fprintf(os.Stderr, " %.1f s\n", time.Since(started).Seconds())
		if o.notes.Rows = rows; len(rows) > 0 {
			report.Sections = append(report.Sections, o.notes)
		}
		if ctx.Err() != nil {
			return errors.Join(failed...)
		}
	}
	report.Others = others()
	return errors.Join(append(failed, o.publish(report, partial))...)
}

// watchOthers gives a function that tells which share of the processors other programs took since then; nil where that
// is not known.
func watchOthers() func() *float64 {
	started := time.Now()
	all, own, ok := busySeconds()
	return func() *float64 {
		allNow, ownNow, okNow := busySeconds()
		wall := time.Since(started).Seconds() * float64(runtime.NumCPU())
		if !ok || !okNow || wall <= 0 {
			return nil
		}
		share := max(0, ((allNow-all)-(ownNow-own))/wall)
		return &share
	}
}

// publish prints the report and keeps it in files: Markdown, JSON, and one for each chart. A part never replaces the
// whole.
func (o *options) publish(report Report, partial bool) error {
	name := pick(&o.bench, "quick", "full")
	if partial {
		name = "part"
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report as JSON: %w", err)
	}
	text = append(text, '\n')
	markdown := report.Markdown(name)
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return fmt.Errorf("make the folder for the report: %w", err)
	}
	files := map[string][]byte{name + ".json": text, name + ".md": []byte(markdown)}
	for _, section := range report.Sections {
		for _, chart := range section.Charts {
			files[chart.file(name)] = []byte(chart.SVG())
		}
	}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(o.out, file), content, 0o666); err != nil {
			return fmt.Errorf("keep the report: %w", err)
		}
	}
	if !o.asJSON {
		text = []byte(markdown)
	}
	_, err = o.print.Write(text)
	return err
}
