package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// result is what the demonstration found out.
type result struct {
	frames        []frame
	video, sheet  string        // paths
	first, second submission    // of the same project
	wall          time.Duration // from the start of the first submission to the end of its job
	alone         time.Duration // one Blender process over the same frames; zero if that was not measured
	equalFrames   int           // frames whose every pixel is the one Blender alone gives
}

// print writes the report that ends a demonstration.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "\nFrames, each decoded and not blank:\n")
	for _, f := range r.frames {
		fmt.Fprintf(out, "  %s\n", f.path)
	}
	if len(r.frames) > 0 {
		size := r.frames[0].picture.Bounds()
		fmt.Fprintf(out, "  %d frames of %d x %d pixels in %s\n", len(r.frames), size.Dx(), size.Dy(), filepath.Dir(r.frames[0].path))
	}
	fmt.Fprintf(out, "Preview video:      %s\n", r.video)
	fmt.Fprintf(out, "Contact sheet:      %s\n", r.sheet)
	fmt.Fprintf(out, "Wall time:          %.1f s from submission to the last file\n", r.wall.Seconds())
	if r.alone > 0 {
		fmt.Fprintf(out, "Blender alone:      %.1f s for the same frames in one process; %d of %d frames are equal in every pixel\n",
			r.alone.Seconds(), r.equalFrames, len(r.frames))
	}
	fmt.Fprintf(out, "First submission:   %s\n", r.first)
	fmt.Fprintf(out, "Second submission:  %s\n", r.second)
}

// String says how much of a project had to travel.
func (s submission) String() string {
	return fmt.Sprintf("%d bytes uploaded of %d, %d files of %d", s.BytesUploaded, s.BytesTotal, s.FilesUploaded, s.Files)
}
