package cli

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress shows how far one piece of work is: a bar where a person watches, a line at its beginning elsewhere, or lines of
// JSON if the output asks for them.
type Progress struct {
	done  atomic.Int64
	all   *mpb.Progress
	bar   *mpb.Bar
	total atomic.Int64
	lines *progressLines
}

// BytesProgress starts to show work that is counted in bytes.
func (o *Output) BytesProgress(what string, total int64) *Progress {
	p := o.progress(what, total)
	if p.lines != nil {
		return p
	}
	if !o.Interactive() || total == 0 {
		o.Say("%s: %s", what, BytesText(total))
		return p
	}
	p.all = mpb.New(mpb.WithOutput(o.Stderr), mpb.WithWidth(40))
	p.bar = p.all.AddBar(total,
		mpb.PrependDecorators(decor.Name(what+" ")),
		mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f "), decor.AverageSpeed(decor.SizeB1000(0), "% .1f "), decor.AverageETA(decor.ET_STYLE_GO)))
	return p
}

func (o *Output) progress(what string, total int64) *Progress {
	p := &Progress{}
	p.total.Store(total)
	if o.ProgressJSON {
		p.lines = &progressLines{output: o, stage: what, start: time.Now()}
		p.lines.tell(0, total, true)
	}
	return p
}

// StepsProgress starts to show work that is counted in steps.
func (o *Output) StepsProgress(what string, total int64) *Progress {
	p := o.progress(what, total)
	if p.lines != nil {
		return p
	}
	if !o.Interactive() || total == 0 {
		o.Say("%s: %d steps", what, total)
		return p
	}
	p.all = mpb.New(mpb.WithOutput(o.Stderr), mpb.WithWidth(40))
	p.bar = p.all.AddBar(total,
		mpb.PrependDecorators(decor.Name(what+" ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d "), decor.Percentage(), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
	return p
}

// Add tells of n more.
func (p *Progress) Add(n int) { p.Set(p.done.Add(int64(n))) }

// Set tells how much is done; it never exceeds the total, though a repeated upload reads some bytes twice.
func (p *Progress) Set(done int64) {
	done = min(done, p.total.Load())
	p.done.Store(done)
	if p.bar != nil {
		p.bar.SetCurrent(done)
	}
	if p.lines != nil {
		p.lines.tell(done, p.total.Load(), false)
	}
}

// SetTotal corrects how much there is to do.
func (p *Progress) SetTotal(total int64) {
	p.total.Store(total)
	if p.bar != nil {
		p.bar.SetTotal(total, false)
	}
}

// End leaves the bar as it is and gives the terminal back.
func (p *Progress) End() {
	if p.lines != nil {
		p.lines.tell(p.done.Load(), p.total.Load(), true)
	}
	if p.bar == nil {
		return
	}
	p.bar.Abort(false)
	p.all.Wait()
}

// progressLines writes a JSON object a line to standard error, a few times a second.
type progressLines struct {
	output *Output
	stage  string
	start  time.Time

	mu   sync.Mutex
	last time.Time
}

// lineEvery bounds how often a stage is told.
const lineEvery = 200 * time.Millisecond

// progressLine is one line; a program that draws its own progress reads it.
type progressLine struct {
	Stage          string   `json:"stage"`
	Done           int64    `json:"done"`
	Total          int64    `json:"total"`
	BytesPerSecond int64    `json:"bytes_per_second"`
	SecondsLeft    *float64 `json:"seconds_left"` // null: not known yet
}

func (l *progressLines) tell(done, total int64, always bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !always && now.Sub(l.last) < lineEvery {
		return
	}
	l.last = now
	line := progressLine{Stage: l.stage, Done: done, Total: total}
	if elapsed := now.Sub(l.start).Seconds(); elapsed > 0 && done > 0 {
		rate := float64(done) / elapsed
		left := float64(total-done) / rate
		line.BytesPerSecond, line.SecondsLeft = int64(rate), &left
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return // numbers and a word always can be
	}
	l.output.Say("%s", encoded)
}

// Line is a plain progress line for streams that nobody draws on.
func (o *Output) Line(what string, done, total int64) {
	if !o.Interactive() && !o.ProgressJSON {
		o.Say("%s: %s", what, fmt.Sprintf("%d of %d steps (%d%%)", done, total, Percent(done, total)))
	}
}
