package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hayloft/api"
	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/checkout/gather/shot"
	"hayloft/cmd/cli"
)

// submission is what `hayloft submit` was asked for.
type submission struct {
	manager, jobType, name, project string
	settings                        []string
	exclude                         []string
	metadata                        []string
	priority                        int
	prefixes                        []string
	paused, wait, keep, wholeFolder bool
	allowMissing, anyWorker         bool
	framesOfScene                   bool // frames are the scene's, since none were given
	index                           cli.IndexFlag
	limits                          cli.LimitFlags
	array                           array
	postResults                     string
}

// submitted is what came of it; the last line of `hayloft submit --json`.
type submitted struct {
	JobID          string         `json:"job_id"`
	Name           string         `json:"name"`
	Status         string         `json:"status"`
	URL            string         `json:"url"`
	Checkout       string         `json:"checkout,omitempty"`
	Files          int            `json:"files"`
	FilesUploaded  int            `json:"files_uploaded"`
	BytesTotal     int64          `json:"bytes_total"`
	BytesUploaded  int64          `json:"bytes_uploaded"`  // what the farm had in no file
	BytesTravelled int64          `json:"bytes_travelled"` // on the wire, all that surrounds the content included
	Seconds        float64        `json:"seconds"`
	Missing        []shot.Missing `json:"missing"`
	Plan           *plan          `json:"plan,omitempty"` // as `hayloft plan` said it beforehand; its files and bytes to send were sent
}

func (a *app) submitCommand() *cobra.Command {
	var s submission
	cmd := &cobra.Command{
		Use: "submit [FILE.blend|DIR|URL.zip]", Short: "Send a project to the farm and render it", Args: cli.Arguments(cobra.MaximumNArgs(1)),
		Long: "Send a project to the farm and render it. What the .blend needs is found by looking into it, libraries included; when\n" +
			"something is missing without which frames would be wrong, nothing is sent. Only bytes that the farm has never seen\n" +
			"travel. Frames, format and other settings that are not given are those of the scene, as in the add-on. A job type\n" +
			"without a .blend needs no file.",
		Example: cli.Examples(
			"hayloft submit scene.blend --wait",
			"hayloft submit --project ~/film ~/film/shots/010.blend --setting frames=1-100 --setting chunk_size=5",
			"hayloft submit https://files.example/shot.zip --setting format=PNG",
			"hayloft submit --script render.py --each 'data/*.txt' scene.blend",
			"hayloft submit --type echo-sleep-test --setting message=hello"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var target string
			if len(args) == 1 {
				target = args[0]
			}
			return a.submit(cmd.Context(), s, target)
		},
	}
	managerFlag(cmd, &s.manager)
	s.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&s.priority, "priority", 50, "0 to 100; larger runs earlier")
	f.BoolVar(&s.paused, "paused", false, "store the job without starting it")
	f.BoolVar(&s.allowMissing, "allow-missing", false, "go on although files are missing, and say so on the job")
	f.BoolVar(&s.anyWorker, "any-worker", false, "give tasks to workers whose Blender lacks what the file needs, too")
	f.BoolVar(&s.wait, "wait", false, "wait until the job ends; exit code 3 if it fails")
	f.StringArrayVar(&s.metadata, "metadata", nil, "note kept with the job, `KEY=VALUE`; repeatable")
	f.StringVar(&s.postResults, "post-results", "", "have the manager POST each result to this `URL` as it is finished")
	return cmd
}

// flags declares what a plan and a submission have in common.
func (s *submission) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.jobType, "type", "simple-blender-render", "job `type`")
	f.StringVar(&s.name, "name", "", "`name` of the job (default: the file's)")
	f.StringVar(&s.project, "project", "", "the project's `folder`; files outside it are laid beside it (default: the folder of the .blend)")
	f.StringArrayVar(&s.settings, "setting", nil, "setting of the job type, `KEY=VALUE`; repeatable")
	f.StringArrayVar(&s.exclude, "exclude", nil, "leave out files of needed folders that match this `pattern`; repeatable")
	f.StringArrayVar(&s.prefixes, "map", nil, "what a path of other machines means here, `FOREIGN=LOCAL`, such as P:/film=/mnt/film; repeatable")
	f.BoolVar(&s.wholeFolder, "whole-folder", false, "send the project's folder as it is, without a look into the file")
	f.BoolVar(&s.keep, "keep-compressed", false, "send compressed .blend files as they are")
	s.array.flags(f)
	s.index.Add(f)
	s.limits.Add(f)
}

// dial makes the client of the manager, within the limits of speed.
func (s *submission) dial() (*client.Client, error) {
	limits, err := s.limits.Options()
	if err != nil {
		return nil, err
	}
	c, err := client.New(s.manager, software(), limits...)
	if err != nil {
		return nil, cli.Usage("--manager: %w", err)
	}
	return c, nil
}

func (a *app) submit(ctx context.Context, s submission, target string) error {
	start := time.Now()
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
	untold, err := s.askScene(jobType, settings, target)
	if err != nil {
		return err
	}
	if err := checkRequired(jobType, settings, target != "", untold); err != nil {
		return err
	}
	var result submitted
	result.Missing = []shot.Missing{}
	job := s.newJob()
	if err := addMetadata(*job.Metadata, s.metadata); err != nil {
		return err
	}
	if target == "" && !s.array.asked() {
		job.Name = cmp.Or(job.Name, s.jobType)
	} else {
		if err := a.sendProject(ctx, c, s, target, &job, settings, &result); err != nil {
			return a.endRefused(result, err)
		}
	}
	job.Settings = (*wire.JobSettings)(&settings)
	stored, err := c.SubmitJob(ctx, job)
	if err != nil {
		return err
	}
	result.JobID, result.Name, result.Status = stored.Id.String(), stored.Name, string(stored.Status)
	result.URL = c.Address() + "/app/jobs/" + result.JobID
	a.Say("job %s: %s", result.JobID, result.URL)
	if s.wait {
		last, err := a.waitForJob(ctx, c, stored.Id)
		if err != nil {
			return err
		}
		stored, result.Status = last, string(last.Status)
	}
	result.Seconds = time.Since(start).Seconds()
	return a.endSubmit(s, stored, result)
}

// endRefused gives the error of a submission that came to no job. What was missing is on standard output for programs.
func (a *app) endRefused(result submitted, err error) error {
	if !a.JSON || len(result.Missing) == 0 {
		return err
	}
	return errors.Join(a.PrintJSON(result), err)
}

// readSettings asks for the job type and reads the settings by what it declares.
func (s *submission) readSettings(ctx context.Context, c *client.Client) (jobType wire.AvailableJobType, settings map[string]any, err error) {
	if s.array.asked() {
		s.jobType = arrayType
	}
	if jobType, err = c.JobType(ctx, s.jobType); err != nil {
		return jobType, nil, err
	}
	if settings, err = parseSettings(jobType, s.settings); err == nil && s.array.asked() {
		err = s.array.check(settings)
	}
	return jobType, settings, err
}

// newJob is the job as far as it is known before its files are.
func (s *submission) newJob() wire.SubmittedJob {
	job := wire.SubmittedJob{Name: s.name, Type: s.jobType, Priority: &s.priority, SubmitterPlatform: runtime.GOOS, Metadata: &wire.JobMetadata{}}
	if s.paused {
		paused := wire.JobStatusPaused
		job.InitialStatus = &paused
	}
	if s.postResults != "" {
		(*job.Metadata)[api.PostResults] = s.postResults
	}
	return job
}

// endSubmit prints the result and turns a failed job into an exit code.
func (a *app) endSubmit(s submission, job wire.Job, result submitted) error {
	if a.JSON {
		if err := a.PrintJSON(result); err != nil {
			return err
		}
	} else if s.wait {
		fmt.Fprintf(a.Stdout, "%s %s in %s\n", job.Name, job.Status, cli.DurationText(time.Duration(result.Seconds*float64(time.Second))))
	} else {
		fmt.Fprintln(a.Stdout, result.JobID)
	}
	if s.wait && job.Status != wire.JobStatusCompleted {
		return cli.ExitError{Code: cli.ExitJob, Err: fmt.Errorf("job %s: %s; `hayloft job log %s` shows why", result.JobID[:8], job.Activity, result.JobID)}
	}
	return nil
}

// sendProject gathers and sends the project of a .blend, lays it out, and says so in the job.
func (a *app) sendProject(ctx context.Context, c *client.Client, s submission, target string, job *wire.SubmittedJob, settings map[string]any, result *submitted) error {
	main := s.array.script
	if target != "" {
		var err error
		if main, _, err = locate(target, s.project); err != nil {
			return err
		}
	}
	if _, told := (*job.Metadata)[blendFileKey]; !told && target != "" {
		(*job.Metadata)[blendFileKey] = logicalName(main)
	}
	if job.Name == "" {
		job.Name = strings.TrimSuffix(filepath.Base(main), filepath.Ext(main))
	}
	if err := checkFirst(ctx, c, *job, settings); err != nil {
		return err
	}
	g, err := a.gather(ctx, s, target, settings)
	if err != nil {
		return err
	}
	result.Missing = orEmpty(g.shot.Missing)
	p, err := a.tellPlan(ctx, c, s, g, job)
	if err != nil {
		return err
	}
	done, err := a.upload(ctx, c, s, g.tree, false)
	if err != nil {
		return g.naming(err)
	}
	p.count(done)
	result.Plan = &p
	manifest, sent := done.Manifest, done.Sent
	files := make([]wire.ShamanFileSpec, 0, manifest.Len())
	for e := range manifest.Entries() {
		files = append(files, wire.ShamanFileSpec{Sha: e.Blob.Digest.String(), Size: e.Blob.Size, Path: e.Path.String()})
	}
	checkoutID, err := c.Checkout(ctx, job.Name, files)
	if err != nil {
		return err
	}
	job.Storage = &wire.JobStorageInfo{ShamanCheckoutId: &checkoutID}
	g.place(settings, checkoutID)
	result.Checkout, result.Files, result.FilesUploaded = checkoutID, manifest.Len(), sent.BlobsSent
	result.BytesTotal, result.BytesUploaded = manifest.Size(), sent.BytesNew
	result.BytesTravelled, _ = c.Traffic()
	a.Say("%s, %s; the farm lacked %s; sent %s", counted(result.Files, "file"), cli.BytesText(result.BytesTotal),
		lackedText(result.FilesUploaded, sent.BytesSent, sent.BytesNew), cli.BytesText(result.BytesTravelled))
	return nil
}

// tellPlan prints the plan, and takes down in the job what follows from it. Its error refuses the submission.
func (a *app) tellPlan(ctx context.Context, c *client.Client, s submission, g gathered, job *wire.SubmittedJob) (plan, error) {
	if err := g.refusal(); err != nil {
		if !s.allowMissing {
			return plan{}, err
		}
		a.Say("going on without %s", missingText(g.shot.Missing))
		(*job.Metadata)["allowed-missing"] = missingText(g.shot.Missing)
	}
	if len(g.shot.Features) > 0 && !s.anyWorker {
		job.Requires = &g.shot.Features
	}
	p, err := planOf(ctx, c, s, g)
	if err == nil && !a.JSON {
		a.Say("%s", strings.TrimSuffix(p.text(), "\n"))
	}
	return p, err
}

// checkFirst asks whether the job would be accepted, before anything of the project travels.
func checkFirst(ctx context.Context, c *client.Client, job wire.SubmittedJob, settings map[string]any) error {
	tried := wire.JobSettings(maps.Clone(settings))
	tried["blendfile"] = "{jobs}/to-be-sent.blend"
	job.Settings = &tried
	return c.CheckJob(ctx, job)
}

// missingText names missing files for a job's metadata, which has room for some of them.
func missingText(missing []shot.Missing) string {
	const most = 10
	var names []string
	for _, m := range missing {
		if m.Required {
			names = append(names, m.Resolved)
		}
	}
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// locate finds the .blend and the project folder that a person means.
func locate(target, project string) (blend, root string, err error) {
	blend, err = filepath.Abs(target)
	if err != nil {
		return "", "", err
	}
	info, err := os.Stat(blend)
	if err != nil {
		return "", "", cli.ExitError{Code: cli.ExitUsage, Err: fmt.Errorf("no such file: %s", target)}
	}
	root = filepath.Dir(blend)
	if info.IsDir() {
		root = blend
		if blend, err = onlyBlend(blend); err != nil {
			return "", "", err
		}
	} else if filepath.Ext(blend) != ".blend" {
		return "", "", cli.Usage("%s is no .blend file", target)
	}
	if project == "" {
		return blend, root, nil
	}
	if root, err = filepath.Abs(project); err != nil {
		return "", "", err
	}
	if below(root, blend) {
		return blend, root, nil
	}
	// One of them may be spelled through a link.
	folder, err := filepath.EvalSymlinks(filepath.Dir(blend))
	realRoot, rootErr := filepath.EvalSymlinks(root)
	if err != nil || rootErr != nil || !below(realRoot, folder) {
		return "", "", cli.Usage("%s does not lie in --project %s", target, project)
	}
	inside, err := filepath.Rel(realRoot, folder)
	return filepath.Join(root, inside, filepath.Base(blend)), root, err
}

func onlyBlend(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.blend"))
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", cli.Usage("no .blend file in %s; name the file to render", dir)
	}
	return "", cli.Usage("%d .blend files in %s; name the one to render and say --project %s", len(found), dir, dir)
}

// parseSettings reads KEY=VALUE as the types that the job type declares.
func parseSettings(jobType wire.AvailableJobType, pairs []string) (map[string]any, error) {
	declared := make(map[string]wire.AvailableJobSetting, len(jobType.Settings))
	for _, s := range jobType.Settings {
		declared[s.Key] = s
	}
	settings := make(map[string]any)
	for _, pair := range pairs {
		key, text, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, cli.Usage("--setting %s: it looks like KEY=VALUE", pair)
		}
		s, known := declared[key]
		if !known {
			return nil, cli.Usage("--setting %s: job type %s has no setting %q; it has %s", pair, jobType.Name, key, settingNames(jobType))
		}
		value, err := parseSetting(s, text)
		if err != nil {
			return nil, cli.Usage("--setting %s: %q is no %s", pair, text, s.Type)
		}
		settings[key] = value
	}
	return settings, nil
}

func settingNames(jobType wire.AvailableJobType) string {
	names := make([]string, len(jobType.Settings))
	for i, s := range jobType.Settings {
		names[i] = s.Key
	}
	return strings.Join(names, ", ")
}

func parseSetting(s wire.AvailableJobSetting, text string) (any, error) {
	switch s.Type {
	case wire.Int32:
		n, err := strconv.ParseInt(text, 10, 32)
		return n, err
	case wire.Float:
		return strconv.ParseFloat(text, 64)
	case wire.Bool:
		return strconv.ParseBool(text)
	default:
		return text, nil
	}
}

// checkRequired names what is missing before anything is stored, in the words of the command line. Untold is why the .blend
// file did not tell it, or nil.
func checkRequired(jobType wire.AvailableJobType, settings map[string]any, haveBlend bool, untold error) error {
	for _, s := range jobType.Settings {
		if s.Required == nil || !*s.Required || s.Default != nil {
			continue
		}
		if _, ok := settings[s.Key]; ok {
			continue
		}
		if s.Key == "blendfile" && haveBlend {
			continue
		}
		if s.Key == "blendfile" {
			return cli.Usage("job type %s needs a .blend file; name one", jobType.Name)
		}
		if untold != nil && s.Eval != nil {
			return cli.Usage("job type %s needs --setting %s=VALUE, since the file does not tell it: %w", jobType.Name, s.Key, untold)
		}
		return cli.Usage("job type %s needs --setting %s=VALUE", jobType.Name, s.Key)
	}
	return nil
}

// waitForJob shows the progress of a job until it ends, however long the manager may be away meanwhile.
func (a *app) waitForJob(ctx context.Context, c *client.Client, id uuid.UUID) (wire.Job, error) {
	var job wire.Job
	var bar *cli.Progress
	shown := int64(-1)
	err := c.Events(ctx, []string{"jobs"}, func(e client.Event) error {
		if !concerns(e, id) {
			return nil
		}
		now, err := c.Job(ctx, id)
		if errors.Is(err, client.ErrNotFound) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // The manager is away; the next event tells when it is back.
		}
		job = now
		if bar == nil {
			bar = a.StepsProgress("rendering", job.StepsTotal)
		}
		bar.Set(job.StepsCompleted)
		if job.StepsCompleted != shown {
			shown = job.StepsCompleted
			a.Line(string(job.Status), job.StepsCompleted, job.StepsTotal)
		}
		if finished(job.Status) {
			return errJobEnded
		}
		return nil
	})
	if bar != nil {
		bar.End()
	}
	if errors.Is(err, errJobEnded) {
		err = nil
	}
	return job, err
}

// concerns tells whether an event may say something about a job.
func concerns(e client.Event, job uuid.UUID) bool {
	var about struct {
		ID uuid.UUID `json:"id"`
	}
	return e.Type == client.Reconnected || (json.Unmarshal(e.Data, &about) == nil && about.ID == job)
}
