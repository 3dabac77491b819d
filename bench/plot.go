package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Chart compares one figure of several programs as bars.
type Chart struct {
	Name  string `json:"name"` // of the file, without its ending
	Title string `json:"title"`
	Unit  string `json:"unit"`
	Log   bool   `json:"log,omitempty"` // the bars' lengths are logarithms
	Bars  []Bar  `json:"bars"`
}

// Bar is one figure of a chart. It is not negative.
type Bar struct {
	Label string  `json:"label"`
	Value float64 `json:"value"`
	Ours  bool    `json:"ours,omitempty"`
}

// Lengths of a chart, in the units of its view box.
const (
	chartWidth  = 640
	labelWidth  = 190
	valueWidth  = 90
	barHeight   = 22
	barGap      = 10
	titleHeight = 44
	axisHeight  = 30
	barsWidth   = chartWidth - labelWidth - valueWidth
)

// chartStyle goes by the reader's preference of light or dark.
const chartStyle = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:15px}
.axis{font-size:11px;fill:#59636e}
.grid{stroke:#d1d9e0}
.ours{fill:#0969da}
.peer{fill:#8c959f}
.ground{fill:#ffffff}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}
.axis{fill:#9198a1}
.grid{stroke:#3d444d}
.ours{fill:#4493f8}
.peer{fill:#767e89}
.ground{fill:#0d1117}
}
</style>
`

// SVG draws the chart.
func (c Chart) SVG() string {
	var text strings.Builder
	bottom := titleHeight + len(c.Bars)*(barHeight+barGap)
	fmt.Fprintf(&text, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s",
		chartWidth, bottom+axisHeight, html.EscapeString(c.Title), chartStyle)
	fmt.Fprintf(&text, `<rect class="ground" width="%d" height="%d" rx="6"/>`+"\n", chartWidth, bottom+axisHeight)
	fmt.Fprintf(&text, `<text class="title" x="16" y="26">%s</text>`+"\n", html.EscapeString(c.Title))
	scale := newScale(c)
	for _, tick := range scale.ticks() {
		x := labelWidth + scale.place(tick)
		fmt.Fprintf(&text, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x, x, titleHeight-4, bottom)
		fmt.Fprintf(&text, `<text class="axis" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, bottom+16, number(tick))
	}
	for i, bar := range c.Bars {
		class := "peer"
		if bar.Ours {
			class = "ours"
		}
		y, length := titleHeight+i*(barHeight+barGap), scale.place(bar.Value)
		fmt.Fprintf(&text, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-10, y+15, html.EscapeString(bar.Label))
		fmt.Fprintf(&text, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, labelWidth, y, math.Max(length, 1), barHeight)
		fmt.Fprintf(&text, `<text x="%.1f" y="%d">%s %s</text>`+"\n", labelWidth+length+8, y+15, number(bar.Value), html.EscapeString(c.Unit))
	}
	text.WriteString("</svg>\n")
	return text.String()
}

// scale places figures on a chart's axis.
type scale struct {
	log       bool
	low, high float64
}

// mostSpan bounds how far a logarithmic axis goes. What is smaller has no bar.
const mostSpan = 1e9

// newScale takes the whole of a linear axis from zero, and the powers of ten around all figures of a logarithmic one.
func newScale(c Chart) scale {
	s := scale{log: c.Log}
	smallest := math.Inf(1)
	for _, bar := range c.Bars {
		s.high = max(s.high, bar.Value)
		if bar.Value > 0 {
			smallest = min(smallest, bar.Value)
		}
	}
	if s.high == 0 {
		return scale{high: 1}
	}
	if s.log {
		smallest = max(smallest, s.high/mostSpan)
		s.low = math.Pow(10, math.Floor(math.Log10(smallest*0.9)))
		s.high = math.Pow(10, math.Ceil(math.Log10(s.high)))
		return s
	}
	step := roundStep(s.high)
	s.high = math.Ceil(s.high/step) * step
	return s
}

// roundStep is 1, 2 or 5 times a power of ten, and goes into a figure three to eight times.
func roundStep(high float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(high)))
	switch lead := high / power; {
	case lead < 1.5:
		return power / 5
	case lead < 3.5:
		return power / 2
	}
	return power
}

// place is the length of a bar.
func (s scale) place(value float64) float64 {
	if !s.log {
		return value / s.high * barsWidth
	}
	if value <= s.low {
		return 0
	}
	return math.Log10(value/s.low) / math.Log10(s.high/s.low) * barsWidth
}

func (s scale) ticks() []float64 {
	var ticks []float64
	if s.log {
		for tick := s.low; tick <= s.high*1.001; tick *= 10 {
			ticks = append(ticks, tick)
		}
		return ticks
	}
	step := roundStep(s.high)
	for i := 0; float64(i)*step <= s.high*1.001; i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return ticks
}
