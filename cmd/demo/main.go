package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options is what the command line says.
type options struct {
	hayloft string // the hayloft binary
	blender string // the Blender binary
	dir     string // the folder that the demo owns
	keep    bool   // leave the farm up until the user ends it
	fast    bool   // do not render the frames a second time with Blender alone
}

func main() {
	opts, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, opts, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo: "+err.Error())
		os.Exit(1)
	}
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.hayloft, "hayloft", filepath.Join("bin", "hayloft"), "the hayloft binary")
	flags.StringVar(&opts.blender, "blender", "blender", "the Blender binary")
	flags.StringVar(&opts.dir, "dir", ".demo", "folder for everything the demo writes")
	flags.BoolVar(&opts.keep, "keep", false, "leave the farm up until Ctrl-C")
	flags.BoolVar(&opts.fast, "fast", false, "skip the comparison with Blender alone")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	for _, path := range []*string{&opts.hayloft, &opts.dir} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return opts, fmt.Errorf("resolving %s: %w", *path, err)
		}
		*path = absolute
	}
	return opts, nil
}

// run is the whole demonstration. Progress and results go to out; what the farm's own programs say about their work
// goes to errs.
func run(ctx context.Context, opts options, out, errs io.Writer) error {
	folder, err := openFolder(opts.dir)
	if err != nil {
		return err
	}
	defer folder.close()
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }

	say("Making a project with Blender: textures, an image sequence, a library that links a library.")
	if err := makeProject(ctx, opts.blender, folder.project()); err != nil {
		return err
	}
	farm, err := startFarm(ctx, opts.hayloft, folder)
	if err != nil {
		return err
	}
	defer farm.stop()
	say("The farm is up: %s", farm.url)

	result, err := renderOnFarm(ctx, opts, farm, folder, errs)
	if err != nil {
		return fmt.Errorf("%w\nThe farm's log: %s", err, folder.farmLog())
	}
	if !opts.fast {
		say("Rendering the same %d frames with Blender alone, to compare.", frameCount)
		if result.alone, err = renderAlone(ctx, opts.blender, folder.scene(), folder.alone()); err != nil {
			return err
		}
		if result.equalFrames, err = compareFrames(result.frames, folder.alone()); err != nil {
			return err
		}
	}
	if err := submitAgain(ctx, opts, farm, folder, errs, &result); err != nil {
		return err
	}
	result.print(out)
	if opts.keep {
		say("\nThe farm stays up, with the second job rendering. Open %s and press Ctrl-C here to end it.", farm.url)
		return farm.wait(ctx)
	}
	return nil
}

// renderOnFarm submits the project, waits for the job and checks every file that came out.
func renderOnFarm(ctx context.Context, opts options, farm *farm, folder *folder, errs io.Writer) (result, error) {
	var res result
	began := time.Now()
	first, err := submit(ctx, opts.hayloft, farm.url, folder.scene(), true, errs)
	if err != nil {
		return res, err
	}
	res.wall, res.first = time.Since(began), first
	if err := download(ctx, opts.hayloft, farm.url, first.JobID, folder.frames(), errs); err != nil {
		return res, err
	}
	if res.frames, err = checkFrames(folder.frames()); err != nil {
		return res, err
	}
	if res.video, err = checkVideo(ctx, folder.frames()); err != nil {
		return res, err
	}
	res.sheet = folder.sheet()
	return res, writeSheet(res.sheet, res.frames)
}

// submitAgain hands in the unchanged project once more. The job it makes is cancelled unless the farm stays up: what
// counts is that no byte had to travel.
func submitAgain(ctx context.Context, opts options, farm *farm, folder *folder, errs io.Writer, res *result) error {
	again, err := submit(ctx, opts.hayloft, farm.url, folder.scene(), false, errs)
	if err != nil {
		return err
	}
	res.second = again
	if again.BytesUploaded != 0 {
		return fmt.Errorf("the second submission of the same project uploaded %d bytes in %d files; it should upload nothing",
			again.BytesUploaded, again.FilesUploaded)
	}
	if opts.keep {
		return nil
	}
	return cancel(ctx, opts.hayloft, farm.url, again.JobID, errs)
}
