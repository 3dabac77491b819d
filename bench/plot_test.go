package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func aChart(log bool) Chart {
	return Chart{Name: "chart", Title: "One & two", Unit: "MB", Log: log, Bars: []Bar{{"ours <new>", 2.5, true}, {"other", 600, false}, {"none", 0, false}}}
}

// TestChartIsWellFormed reads the drawing as XML and looks for what it should say.
func TestChartIsWellFormed(t *testing.T) {
	for _, log := range []bool{false, true} {
		drawn := aChart(log).SVG()
		reader := xml.NewDecoder(strings.NewReader(drawn))
		bars, said := 0, ""
		for {
			token, err := reader.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, drawn)
			}
			switch token := token.(type) {
			case xml.StartElement:
				for _, a := range token.Attr {
					if a.Name.Local == "class" && (a.Value == "ours" || a.Value == "peer") {
						bars++
					}
				}
			case xml.CharData:
				said += string(token) + "\n"
			}
		}
		if bars != 3 {
			t.Errorf("the chart has %d bars, want 3", bars)
		}
		for _, want := range []string{"One & two", "ours <new>", "2.5 MB", "600 MB", "0 MB"} {
			if !strings.Contains(said, want+"\n") {
				t.Errorf("the chart does not say %q", want)
			}
		}
	}
}

func TestScaleHasRoundTicks(t *testing.T) {
	for _, test := range []struct {
		log    bool
		values []float64
		want   []float64
	}{
		{false, []float64{37.7, 15}, []float64{0, 10, 20, 30, 40}},
		{false, []float64{1.2}, []float64{0, 0.2, 0.4, 0.6, 0.8, 1, 1.2}},
		{false, []float64{0}, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{true, []float64{0.49, 32.6, 524}, []float64{0.1, 1, 10, 100, 1000}},
		{true, []float64{1, 10}, []float64{0.1, 1, 10}},
	} {
		c := Chart{Log: test.log}
		for _, v := range test.values {
			c.Bars = append(c.Bars, Bar{Value: v})
		}
		near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) })
		if diff := cmp.Diff(test.want, newScale(c).ticks(), near); diff != "" {
			t.Errorf("ticks of %v (-want +got):\n%s", test.values, diff)
		}
	}
}

// TestBarsFitAndKeepTheirOrder draws any figures: no bar leaves the chart, and a larger figure never has a shorter bar.
func TestBarsFitAndKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Chart{Log: rapid.Bool().Draw(t, "log")}
		for _, v := range rapid.SliceOfN(rapid.Float64Range(0, 1e12), 1, 8).Draw(t, "values") {
			c.Bars = append(c.Bars, Bar{Value: v})
		}
		s := newScale(c)
		for _, a := range c.Bars {
			length := s.place(a.Value)
			if !(length >= 0 && length <= barsWidth*1.0001) {
				t.Fatalf("the bar of %v is %v long, on a scale from %v to %v", a.Value, length, s.low, s.high)
			}
			for _, b := range c.Bars {
				if a.Value > b.Value && length < s.place(b.Value) {
					t.Fatalf("%v has a shorter bar than %v", a.Value, b.Value)
				}
			}
		}
	})
}
