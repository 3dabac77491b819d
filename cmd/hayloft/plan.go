package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"path/filepath"
	"strings"
	"time"

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
	BytesToSend int64          `json:"bytes_to_send"` // of these files; less travels
	Frames      string         `json:"frames"`
	FrameCount  int            `json:"frame_count"`
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
		Example: cli.Examples("hayloft plan shot.blend --setting frames=1-100", "hayloft plan shot.blend --json"),
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
	_, settings, err := s.readSettings(ctx, c)
	if err != nil {
		return err
	}
	g, err := a.gather(ctx, s, target, settings)
	if err != nil {
		return err
	}
	p, err := a.planOf(ctx, c, s, g)
	if err != nil {
		return err
	}
	if a.JSON {
		err = a.PrintJSON(p)
	} else {
		err = p.print(a.Stdout)
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
			lines = append(lines, fmt.Sprintf("  %s %s: %s", kindText(m), m.Datablock[min(2, len(m.Datablock)):], m.Resolved))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	const most = 20
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("  and %d more; `hayloft plan` lists them", more))
	}
	return cli.ExitError{Code: cli.ExitJob, Err: fmt.Errorf("files are missing without which frames would be wrong; put them back, or say --allow-missing:\n%s",
		strings.Join(lines, "\n"))}
}

func kindText(m shot.Missing) string { return strings.ReplaceAll(m.Kind, "-", " ") }

// planOf asks the farm what of a project it lacks and who could render it.
func (a *app) planOf(ctx context.Context, c *client.Client, s submission, g gathered) (plan, error) {
	done, err := a.upload(ctx, c, s, g.tree, true)
	if err != nil {
		return plan{}, err
	}
	p := plan{Blend: g.blend, Root: g.shot.Root, Files: done.Manifest.Len(), Bytes: done.Manifest.Size(),
		FilesToSend: done.Sent.BlobsSent, BytesToSend: done.Sent.BytesSent, Frames: g.frames.String(), FrameCount: g.frames.Count(),
		Missing: orEmpty(g.shot.Missing), Outside: orEmpty(g.shot.Outside), Warnings: orEmpty(g.shot.Warnings), Features: orEmpty(g.shot.Features),
		Scripts: orEmpty(g.shot.Scripts), AddOns: orEmpty(g.shot.AddOns),
		Workers: []planWorker{}}
	name := g.jobName(s)
	answer, err := c.EligibleWorkers(ctx, wire.JobNeeds{Requires: &p.Features, Type: &s.jobType, Name: &name})
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

// print writes the plan for people.
func (p plan) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d files, %s; the farm lacks %d, %s\n", p.Blend, p.Files, cli.BytesText(p.Bytes), p.FilesToSend, cli.BytesText(p.BytesToSend))
	if p.FrameCount > 0 {
		fmt.Fprintf(&b, "%d frames: %s\n", p.FrameCount, p.Frames)
	}
	for _, m := range p.Missing {
		mark := "optional"
		if m.Required {
			mark = "MISSING"
		}
		fmt.Fprintf(&b, "%-8s  %s %s  %s\n", mark, kindText(m), m.Datablock, m.Resolved)
	}
	for _, o := range p.Outside {
		fmt.Fprintf(&b, "outside   %s  as %s\n", o.Path, o.As)
	}
	for _, text := range p.Warnings {
		fmt.Fprintf(&b, "warning   %s\n", text)
	}
	if len(p.Features) > 0 {
		fmt.Fprintf(&b, "needs     %s\n", strings.Join(p.Features, ", "))
	}
	if len(p.Scripts) > 0 {
		fmt.Fprintf(&b, "runs      %s\n", strings.Join(p.Scripts, ", "))
	}
	if len(p.AddOns) > 0 {
		fmt.Fprintf(&b, "add-ons   %s\n", strings.Join(p.AddOns, ", "))
	}
	for _, worker := range p.Workers {
		if worker.Can {
			fmt.Fprintf(&b, "can       %s\n", worker.Name)
		} else {
			fmt.Fprintf(&b, "cannot    %s: %s\n", worker.Name, worker.Why)
		}
	}
	if p.Seconds != nil {
		fmt.Fprintf(&b, "about %s, if all that can and are awake render\n", cli.DurationText(time.Duration(*p.Seconds*float64(time.Second))))
	}
	_, err := io.WriteString(w, b.String())
	return err
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
