package main

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"hayloft/checkout/gather/shot"
	"hayloft/cmd/cli"
)

// mostAlike is how many missing files of one datablock are listed, and how many files of one folder outside the project;
// sequences have thousands. The plan in JSON has all.
const mostAlike = 3

// heading says how much it is.
func (p plan) heading() string {
	return fmt.Sprintf("%s\n%s, %s; the farm lacks %s\n", p.Blend, counted(p.Files, "file"), cli.BytesText(p.Bytes),
		lackedText(p.FilesToSend, p.BytesLacked, p.BytesToSend))
}

// lackedText says how many files the farm lacks, of how many bytes, and how many of these it has in no other file.
func lackedText(files int, lacked, fresh int64) string {
	text := fmt.Sprintf("%d, %s", files, cli.BytesText(lacked))
	if fresh < lacked {
		text += fmt.Sprintf(", of which %s are new", cli.BytesText(fresh))
	}
	return text
}

// text is the rest of the plan for people, each line with its end.
func (p plan) text() string {
	var b strings.Builder
	if p.FrameCount > 0 {
		whose := ""
		if p.OfScene {
			whose = ", as the scene says"
		}
		fmt.Fprintf(&b, "%s: %s%s\n", counted(p.FrameCount, "frame"), p.Frames, whose)
	}
	p.writeMissing(&b)
	p.writeOutside(&b)
	for _, text := range p.Warnings {
		fmt.Fprintf(&b, "warning   %s\n", text)
	}
	for _, list := range []struct {
		what  string
		names []string
	}{{"needs", p.Features}, {"runs", p.Scripts}, {"add-ons", p.AddOns}} {
		if len(list.names) > 0 {
			fmt.Fprintf(&b, "%-8s  %s\n", list.what, strings.Join(list.names, ", "))
		}
	}
	p.writeWorkers(&b)
	if p.Seconds != nil {
		fmt.Fprintf(&b, "about %s, if all that can and are awake render\n", cli.DurationText(time.Duration(*p.Seconds*float64(time.Second))))
	}
	return b.String()
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p plan) writeMissing(b *strings.Builder) {
	for i := 0; i < len(p.Missing); {
		first, n := p.Missing[i], 0
		for ; i < len(p.Missing) && p.Missing[i].Blend == first.Blend && p.Missing[i].Datablock == first.Datablock; i++ {
			mark := "optional"
			if p.Missing[i].Required {
				mark = "MISSING"
			}
			if n++; n <= mostAlike {
				fmt.Fprintf(b, "%-8s  %s\n", mark, missingLine(p.Missing[i], first.Datablock+" ", p.Blend))
			}
		}
		if n > mostAlike {
			fmt.Fprintf(b, "          and %d more of %s\n", n-mostAlike, first.Datablock)
		}
	}
}

// missingLine names a missing file, the .blend file that wants it if that is a library, and what to do about it.
func missingLine(m shot.Missing, datablock, blend string) string {
	line := fmt.Sprintf("%s %s %s", strings.ReplaceAll(m.Kind, "-", " "), datablock, m.Resolved)
	if m.Blend != blend && m.Blend != "" {
		line += " (of " + m.Blend + ")"
	}
	if m.Note != "" {
		line += ": " + m.Note
	}
	return line
}

// writeOutside lists what comes from outside the project; of a folder with many files, only the folder.
func (p plan) writeOutside(b *strings.Builder) {
	alike := map[string]int{}
	for _, o := range p.Outside {
		alike[filepath.Dir(o.Path)]++
	}
	for _, o := range p.Outside {
		folder := filepath.Dir(o.Path)
		switch n := alike[folder]; {
		case n > mostAlike:
			fmt.Fprintf(b, "outside   %s in %s  as %s\n", counted(n, "file"), folder, path.Dir(o.As.String()))
			alike[folder] = 0
		case n > 0:
			fmt.Fprintf(b, "outside   %s  as %s\n", o.Path, o.As)
		}
	}
}

func (p plan) writeWorkers(b *strings.Builder) {
	able := false
	for _, worker := range p.Workers {
		if worker.Can {
			able = true
			fmt.Fprintf(b, "can       %s\n", worker.Name)
		} else {
			fmt.Fprintf(b, "cannot    %s: %s\n", worker.Name, worker.Why)
		}
	}
	if !able {
		b.WriteString("nobody can take it now; it will wait for a worker that can\n")
	}
}
