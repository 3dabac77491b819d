package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Report is what one run measured.
type Report struct {
	Quick      bool      `json:"quick"`
	Go         string    `json:"go"`
	Platform   string    `json:"platform"`
	Processors int       `json:"processors"`
	Others     *float64  `json:"others,omitempty"` // share of the processors that other programs took meanwhile, where known
	Sections   []Section `json:"sections"`
}

// Section is the rows of one suite.
type Section struct {
	Name   string  `json:"name"`
	Rows   []Row   `json:"rows"`
	Runs   []Run   `json:"runs,omitempty"`
	Charts []Chart `json:"charts,omitempty"`
}

// Run is what one program used for one piece of work, together with the manager that it talked to, if there was one.
// Bytes on the wire are those of TCP's payload, HTTP's heads included, as a relay between the two counted them.
type Run struct {
	Work        string  `json:"work"`
	By          string  `json:"by"`
	Seconds     float64 `json:"seconds"`
	CPU         float64 `json:"cpu"`                   // seconds of processor time
	ManagerCPU  float64 `json:"manager_cpu,omitempty"` // the manager's share, not in CPU
	Sent        int64   `json:"sent,omitempty"`        // bytes
	Received    int64   `json:"received,omitempty"`    // bytes
	Requests    int64   `json:"requests,omitempty"`
	Stored      int64   `json:"stored,omitempty"`       // bytes by which the store grew on the disk
	Peak        int64   `json:"peak,omitempty"`         // bytes of memory
	ManagerPeak int64   `json:"manager_peak,omitempty"` // bytes of memory
}

// Row is one figure. Limit is what the machine itself did in the same run, in the same unit; zero: none was measured.
type Row struct {
	Work    string  `json:"work"`
	Figure  float64 `json:"figure"`
	Unit    string  `json:"unit"`
	Limit   float64 `json:"limit,omitempty"`
	Against string  `json:"against,omitempty"` // what the limit is
	Ratio   float64 `json:"ratio,omitempty"`   // Figure / Limit
	Aim     *Aim    `json:"aim,omitempty"`
	Met     *bool   `json:"met,omitempty"` // whether the aim was; absent without an aim
}

// Aim is what a figure, or its ratio to the limit, should be.
type Aim struct {
	Bound   float64 `json:"bound"`
	AtMost  bool    `json:"at_most"`  // else at least
	OfRatio bool    `json:"of_ratio"` // else of the figure
}

func (a Aim) String() string {
	sign, of := "≥ ", ""
	if a.AtMost {
		sign = "≤ "
	}
	if a.OfRatio {
		of = "ratio "
	}
	return of + sign + number(a.Bound)
}

// against adds a limit to a row.
func (r Row) against(what string, limit float64) Row {
	r.Against, r.Limit = what, limit
	if limit > 0 {
		r.Ratio = r.Figure / limit
	}
	return r
}

// aim adds an aim and says whether it was met. An aim of a ratio comes after the limit.
func (r Row) aim(a Aim) Row {
	value := r.Figure
	if a.OfRatio {
		value = r.Ratio
	}
	met := value >= a.Bound
	if a.AtMost {
		met = value <= a.Bound && !(a.OfRatio && r.Limit <= 0)
	}
	r.Aim, r.Met = &a, &met
	return r
}

func atLeast(bound float64) Aim      { return Aim{Bound: bound} }
func atMost(bound float64) Aim       { return Aim{Bound: bound, AtMost: true} }
func ratioAtLeast(bound float64) Aim { return Aim{Bound: bound, OfRatio: true} }
func ratioAtMost(bound float64) Aim  { return Aim{Bound: bound, AtMost: true, OfRatio: true} }

// Markdown gives the report as people read it. The files of its charts begin with prefix.
func (r Report) Markdown(prefix string) string {
	var text strings.Builder
	size, command := "in full", "go run ./bench"
	if r.Quick {
		size, command = "in small", "go run ./bench -quick"
	}
	fmt.Fprintf(&text, "# Measured %s\n\nBy `%s`, with %s on %s, %d processors shared by servers and clients. A limit is what the machine\n"+
		"itself did in the same run, in the same unit.\n", size, command, r.Go, r.Platform, r.Processors)
	if r.Others != nil {
		fmt.Fprintf(&text, "Other programs took %.0f %% of the processors meanwhile.\n", 100**r.Others)
	}
	met, missed := 0, 0
	for _, s := range r.Sections {
		fmt.Fprintf(&text, "\n## %s%s\n\n| work | figure | unit | limit | ratio | aim | |\n|---|--:|---|--:|--:|--:|---|\n",
			strings.ToUpper(s.Name[:1]), s.Name[1:])
		for _, row := range s.Rows {
			text.WriteString(row.markdown())
			switch {
			case row.Met == nil:
			case *row.Met:
				met++
			default:
				missed++
			}
		}
		text.WriteString(s.details(prefix))
	}
	if met+missed > 0 {
		fmt.Fprintf(&text, "\n%d of %d aims met.\n", met, met+missed)
	}
	return text.String()
}

// details writes what a section has beside its rows.
func (s Section) details(prefix string) string {
	var text strings.Builder
	for i, c := range s.Charts {
		if i == 0 {
			text.WriteString("\n")
		}
		fmt.Fprintf(&text, "![%s](%s)\n", c.Title, c.file(prefix))
	}
	if len(s.Runs) > 0 {
		text.WriteString("\n| work | by | s | CPU s | manager's CPU s | MB sent | MB received | requests | MB stored | peak MB | manager's peak MB |\n" +
			"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	}
	for _, r := range s.Runs {
		fmt.Fprintf(&text, "| %s | %s |", r.Work, r.By)
		for _, figure := range []float64{r.Seconds, r.CPU, r.ManagerCPU, float64(r.Sent) / 1e6, float64(r.Received) / 1e6,
			float64(r.Requests), float64(r.Stored) / 1e6, float64(r.Peak) / 1e6, float64(r.ManagerPeak) / 1e6} {
			if figure == 0 {
				text.WriteString("  |")
			} else {
				fmt.Fprintf(&text, " %s |", number(figure))
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}

// file is the name of a chart's file.
func (c Chart) file(prefix string) string { return prefix + "-" + c.Name + ".svg" }

func (r Row) markdown() string {
	var limit, ratio, aim, verdict string
	if r.Limit > 0 {
		limit, ratio = number(r.Limit)+" ("+r.Against+")", strconv.FormatFloat(r.Ratio, 'f', 2, 64)
	}
	if r.Aim != nil {
		aim, verdict = r.Aim.String(), "**missed**"
		if *r.Met {
			verdict = "ok"
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", r.Work, number(r.Figure), r.Unit, limit, ratio, aim, verdict)
}

// number writes a figure with three digits that count, and thousands apart.
func number(x float64) string {
	switch size := math.Abs(x); {
	case size < 10:
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(x, 'f', 2, 64), "0"), ".")
	case size < 100:
		return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
	}
	digits := strconv.FormatFloat(math.Abs(x), 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	if x < 0 {
		return "-" + digits
	}
	return digits
}
