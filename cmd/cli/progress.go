package cli

import (
	"fmt"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress shows how far one piece of work is: a bar where a person watches, a line at its beginning elsewhere.
type Progress struct {
	done  atomic.Int64
	all   *mpb.Progress
	bar   *mpb.Bar
	total int64
}

// BytesProgress starts to show work that is counted in bytes.
func (o *Output) BytesProgress(what string, total int64) *Progress {
	p := &Progress{total: total}
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

// StepsProgress starts to show work that is counted in steps.
func (o *Output) StepsProgress(what string, total int64) *Progress {
	p := &Progress{total: total}
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
	if p.bar != nil {
		p.bar.SetCurrent(min(done, p.total))
	}
}

// SetTotal corrects how much there is to do.
func (p *Progress) SetTotal(total int64) {
	p.total = total
	if p.bar != nil {
		p.bar.SetTotal(total, false)
	}
}

// End leaves the bar as it is and gives the terminal back.
func (p *Progress) End() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(false)
	p.all.Wait()
}

// Line is a plain progress line for streams that nobody draws on.
func (o *Output) Line(what string, done, total int64) {
	if !o.Interactive() {
		o.Say("%s: %s", what, fmt.Sprintf("%d of %d steps (%d%%)", done, total, Percent(done, total)))
	}
}
