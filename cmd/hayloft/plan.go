package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/checkout/blend"
	"hayloft/checkout/gather"
	"hayloft/checkout/gather/shot"
	"hayloft/cmd/cli"
	"hayloft/cmd/upload"
	"hayloft/scheduler/jobtype"
)

// plan says what a submission would do. `hayloft plan` prints it, and `hayloft submit` goes by it.
type plan struct {
	Blend       string         `json:"blend"`
	Root        string         `json:"root"`
	Files       int            `json:"files"`
	Bytes       int64          `json:"bytes"`
	FilesToSend int            `json:"files_to_send"` // of which the farm lacks something
	BytesLacked int64          `json:"bytes_of_files_to_send"`
	BytesToSend int64          `json:"bytes_to_send"` // of these: what the farm has in no file; compressed it is less
	Frames      string         `json:"frames"`
	FrameCount  int            `json:"frame_count"`
	OfScene     bool           `json:"frames_of_scene"` // no others were given
	Missing     []shot.Missing `json:"missing"`
	Outside     []shot.Outside `json:"outside"`
	Warnings    []string       `json:"warnings"`
	Features    []string       `json:"features"`
	Scripts     []string       `json:"scripts"` // text blocks that Blender runs when it opens the file
	AddOns      []string       `json:"addons"`  // settings and nodes that Blender itself does not have
	Workers     []planWorker   `json:"workers"`
	Seconds     *float64       `json:"seconds_estimated"` // nil: nothing is known
}

// planWorker is a worker, whether it can run the job, and why not.
type planWorker struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Can  bool   `json:"can"`
	Why  string `json:"why,omitempty"`
}

func (a *app) planCommand() *cobra.Command {
	var s submission
	cmd := &cobra.Command{
		Use: "plan FILE.blend|DIR", Short: "Say what a submission would send, what is missing, and who could render it", Args: cli.Arguments(cobra.ExactArgs(1)),
		Long: "Say what a submission would send, what is missing, and who could render it. Nothing is sent. It ends with exit code 3 when\n" +
			"a file is missing without which frames would be wrong.",
		Example: cli.Examples("hayloft plan shot.blend", "hayloft plan shot.blend --setting frames=1-100 --json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.plan(cmd.Context(), s, args[0])
		},
	}
	managerFlag(cmd, &s.manager)
	s.flags(cmd)
	return cmd
}

func (a *app) plan(ctx context.Context, s submission, target string) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	target, remove, err := a.localProject(ctx, &s, target)
	if err != nil {
		return err
	}
	defer remove()
	jobType, settings, err := s.readSettings(ctx, c)
	if err != nil {
		return err
	}
	if _, err := s.askScene(jobType, settings, target); err != nil {
		return err
	}
	g, err := a.gather(ctx, s, target, settings)
	if err != nil {
		return err
	}
	p, err := planOf(ctx, c, s, g)
	if err != nil {
		return err
	}
	done, err := a.upload(ctx, c, s, g.tree, true)
	if err != nil {
		return g.naming(err)
	}
	p.count(done)
	if a.JSON {
		err = a.PrintJSON(p)
	} else {
		_, err = io.WriteString(a.Stdout, p.heading()+p.text())
	}
	if err == nil {
		err = g.refusal()
	}
	return err
}

// gathered is a project as it will be sent.
type gathered struct {
	blend  string // on this machine
	inside string // in the tree, with forward slashes
	tree   gather.Tree
	shot   shot.Shot // empty if the whole folder is sent
	frames jobtype.FrameRange
	array  arrayPaths // empty if it is no array
}

// gather finds out what belongs to a project: what its .blend needs or, if that was asked for, the whole folder.
func (a *app) gather(ctx context.Context, s submission, target string, settings map[string]any) (gathered, error) {
	if s.array.asked() {
		return a.gatherArray(ctx, s, target, settings)
	}
	file, project, err := locate(target, s.project)
	if err != nil {
		return gathered{}, err
	}
	g := gathered{blend: file}
	if text, ok := settings["frames"].(string); ok {
		if g.frames, err = jobtype.ParseFrames(text); err != nil {
			return g, cli.Usage("--setting frames: %w", err)
		}
	}
	if s.wholeFolder {
		return a.gatherFolder(ctx, s, project, g)
	}
	variables, err := parsePrefixes(s.prefixes)
	if err != nil {
		return g, err
	}
	g.shot, err = shot.Gather(ctx, file, shot.Options{Root: project, Frames: blendRanges(g.frames), Variables: variables, Exclude: s.exclude})
	if err != nil {
		if errors.Is(err, blend.ErrNotBlend) {
			err = fmt.Errorf("%w; --whole-folder sends the folder without looking into the file", err)
		}
		return g, err
	}
	g.tree, g.inside = g.shot.Tree, g.shot.Blend.String()
	return g, nil
}

func (a *app) gatherFolder(ctx context.Context, s submission, project string, g gathered) (gathered, error) {
	var err error
	if g.tree, err = gather.Walk(ctx, project, gather.Options{Exclude: s.exclude}); err != nil {
		return g, err
	}
	inside, err := filepath.Rel(g.tree.Root, g.blend)
	if err != nil {
		return g, fmt.Errorf("%s is not in the project %s: %w", g.blend, g.tree.Root, err)
	}
	g.inside = filepath.ToSlash(inside)
	g.shot.Root = g.tree.Root
	return g, nil
}

// parsePrefixes reads FOREIGN=LOCAL.
func parsePrefixes(pairs []string) (map[string]string, error) {
	prefixes := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		foreign, local, ok := strings.Cut(pair, "=")
		if !ok || foreign == "" || local == "" {
			return nil, cli.Usage("--map %s: it looks like P:/film=/mnt/film", pair)
		}
		prefixes[foreign] = local
	}
	return prefixes, nil
}

// blendRanges are frames as the trace takes them.
func blendRanges(frames jobtype.FrameRange) []blend.Range {
	var ranges []blend.Range
	for first, last := range frames.Spans() {
		ranges = append(ranges, blend.Range{First: int64(first), Last: int64(last)})
	}
	return ranges
}

// refusal says which files are missing without which frames would be wrong; nil if none is.
func (g gathered) refusal() error {
	var lines []string
	for _, m := range g.shot.Missing {
		if m.Required {
			lines = append(lines, "  "+missingLine(m, m.Datablock[min(2, len(m.Datablock)):]+":", g.blend))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if more := len(lines) - mostNamed; more > 0 {
		lines = append(lines[:mostNamed], fmt.Sprintf("  and %d more; `hayloft plan` lists them", more))
	}
	return cli.ExitError{Code: cli.ExitJob, Err: fmt.Errorf("files are missing without which frames would be wrong; put them back, say with --map where they\n"+
		"lie on this machine, or go on with --allow-missing:\n%s",
		strings.Join(lines, "\n"))}
}

// naming adds to an error about files that cannot be read which datablocks want them.
func (g gathered) naming(err error) error {
	var unusable *gather.UnusableError
	if !errors.As(err, &unusable) {
		return err
	}
	var lines []string
	for _, cause := range unusable.Causes {
		var at *fs.PathError
		if !errors.As(cause, &at) {
			continue
		}
		for _, d := range g.shot.Report.Dependencies {
			if len(lines) < mostNamed && slices.Contains(d.Files, at.Path) {
				lines = append(lines, fmt.Sprintf("  %s %s of %s wants %s", d.Kind, d.Datablock[min(2, len(d.Datablock)):], d.Blend, at.Path))
			}
		}
	}
	if len(lines) == 0 {
		return err
	}
	return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
}

// mostNamed is how many files a message lists.
const mostNamed = 20

// planOf says what is known of a submission before its files are read, and asks the farm who could render it.
func planOf(ctx context.Context, c *client.Client, s submission, g gathered) (plan, error) {
	p := plan{Blend: g.blend, Root: g.shot.Root, Frames: g.frames.String(), FrameCount: g.frames.Count(), OfScene: s.framesOfScene,
		Missing: orEmpty(g.shot.Missing), Outside: orEmpty(g.shot.Outside), Warnings: orEmpty(g.shot.Warnings), Features: orEmpty(g.shot.Features),
		Scripts: orEmpty(g.shot.Scripts), AddOns: orEmpty(g.shot.AddOns),
		Workers: []planWorker{}}
	needs := p.Features
	if s.anyWorker {
		needs = []string{}
	}
	name := g.jobName(s)
	answer, err := c.EligibleWorkers(ctx, wire.JobNeeds{Requires: &needs, Type: &s.jobType, Name: &name})
	if err != nil {
		return plan{}, err
	}
	ready := 0
	for _, w := range answer.Workers {
		p.Workers = append(p.Workers, planWorker{ID: w.Id.String(), Name: w.Name, Can: w.Can, Why: w.Why})
		if w.Can && w.Status == wire.WorkerStatusAwake {
			ready++
		}
	}
	if answer.SecondsPerFrame != nil && ready > 0 && p.FrameCount > 0 {
		rounds := math.Ceil(float64(p.FrameCount) / float64(ready))
		seconds := rounds * *answer.SecondsPerFrame
		p.Seconds = &seconds
	}
	return p, nil
}

// count takes in what was found when the files were read, and what the farm lacked of them.
func (p *plan) count(done upload.Result) {
	p.Files, p.Bytes = done.Manifest.Len(), done.Manifest.Size()
	p.FilesToSend, p.BytesLacked, p.BytesToSend = done.Sent.BlobsSent, done.Sent.BytesSent, done.Sent.BytesNew
}

// jobName is the job's name: as it was given, or the file's.
func (g gathered) jobName(s submission) string {
	if s.name != "" {
		return s.name
	}
	base := path.Base(g.inside)
	return strings.TrimSuffix(base, path.Ext(base))
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// upload stores what the manager lacks of a project, or with dryRun finds out what that is.
func (a *app) upload(ctx context.Context, c *client.Client, s submission, tree gather.Tree, dryRun bool) (done upload.Result, err error) {
	index, err := a.OpenIndex(s.index)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	bars := a.UploadProgress()
	defer bars.End()
	return upload.Tree(ctx, tree, upload.Destination{Remote: c, Generation: c.Generation}, upload.Options{
		Index: index.Index, Decode: !s.keep, DryRun: dryRun, Reading: bars.Reading, Sending: bars.Sending,
	})
}
