package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAimsAreJudged(t *testing.T) {
	for _, test := range []struct {
		row  Row
		aim  Aim
		met  bool
		text string
	}{
		{Row{Figure: 3000}, atLeast(3000), true, "≥ 3,000"},
		{Row{Figure: 2999.9}, atLeast(3000), false, "≥ 3,000"},
		{Row{Figure: 100}, atMost(100), true, "≤ 100"},
		{Row{Figure: 100.1}, atMost(100), false, "≤ 100"},
		{Row{Figure: 90}.against("disk", 100), ratioAtLeast(0.9), true, "ratio ≥ 0.9"},
		{Row{Figure: 89}.against("disk", 100), ratioAtLeast(0.9), false, "ratio ≥ 0.9"},
		{Row{Figure: 90}.against("disk", 0), ratioAtLeast(0.9), false, "ratio ≥ 0.9"},
		{Row{Figure: 45}.against("restic", 100), ratioAtMost(0.45), true, "ratio ≤ 0.45"},
		{Row{Figure: 46}.against("restic", 100), ratioAtMost(0.45), false, "ratio ≤ 0.45"},
		{Row{Figure: 46}.against("restic", 0), ratioAtMost(0.45), false, "ratio ≤ 0.45"},
	} {
		got := test.row.aim(test.aim)
		if *got.Met != test.met || got.Aim.String() != test.text {
			t.Errorf("%v of limit %v with aim %s: met %v, want %v with aim %s",
				test.row.Figure, test.row.Limit, got.Aim, *got.Met, test.met, test.text)
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 0.126: "0.13", 1: "1", 1.5: "1.5", 9.999: "10", 12: "12", 12.34: "12.3", 99.96: "100", 123.4: "123",
		1234: "1,234", 999_999.6: "1,000,000", 12_345_678: "12,345,678", -1234: "-1,234",
	} {
		if got := number(x); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}

// aReport has a row of each kind.
func aReport() Report {
	others := 0.25
	return Report{Quick: true, Go: "go1.26", Platform: "linux/amd64", Processors: 2, Others: &others, Sections: []Section{
		{Name: "machine", Rows: []Row{{Work: "SHA-256", Figure: 1200, Unit: "MB/s"}}},
		{Name: "upload", Rows: []Row{
			Row{Work: "one file", Figure: 460, Unit: "MB/s"}.against("plain", 500).aim(ratioAtLeast(0.9)),
			Row{Work: "memory", Figure: 160, Unit: "MB"}.aim(atMost(150)),
		}, Runs: []Run{{Work: "first store", By: "cas", Seconds: 1.5, CPU: 2.25, Sent: 12_000_000, Requests: 7}},
			Charts: []Chart{aChart(false)}},
	}}
}

func TestMarkdown(t *testing.T) {
	const want = `# Measured in small

By ` + "`go run ./bench -quick`" + `, with go1.26 on linux/amd64, 2 processors shared by servers and clients. A limit is what the machine
itself did in the same run, in the same unit.
Other programs took 25 % of the processors meanwhile.

## Machine

| work | figure | unit | limit | ratio | aim | |
|---|--:|---|--:|--:|--:|---|
| SHA-256 | 1,200 | MB/s |  |  |  |  |

## Upload

| work | figure | unit | limit | ratio | aim | |
|---|--:|---|--:|--:|--:|---|
| one file | 460 | MB/s | 500 (plain) | 0.92 | ratio ≥ 0.9 | ok |
| memory | 160 | MB |  |  | ≤ 150 | **missed** |

![One & two](quick-chart.svg)

| work | by | s | CPU s | manager's CPU s | MB sent | MB received | requests | MB stored | peak MB | manager's peak MB |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| first store | cas | 1.5 | 2.25 |  | 12 |  | 7 |  |  |  |

1 of 2 aims met.
`
	if diff := cmp.Diff(want, aReport().Markdown("quick")); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

// TestPublishedFiles keeps a part of a report away from the whole one, and reads back what was kept.
func TestPublishedFiles(t *testing.T) {
	o := &options{bench: bench{quick: true}, out: filepath.Join(t.TempDir(), "report"), asJSON: true, print: io.Discard}
	if err := o.publish(aReport(), false); err != nil {
		t.Fatal(err)
	}
	part := aReport()
	part.Sections = part.Sections[:1]
	if err := o.publish(part, true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Report{"quick": aReport(), "part": part} {
		text, err := os.ReadFile(filepath.Join(o.out, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var got Report
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s.json differs (-want +got):\n%s", name, diff)
		}
		markdown, err := os.ReadFile(filepath.Join(o.out, name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		if string(markdown) != want.Markdown(name) {
			t.Errorf("%s.md is not the report:\n%s", name, markdown)
		}
		for _, section := range want.Sections {
			for _, chart := range section.Charts {
				drawn, err := os.ReadFile(filepath.Join(o.out, chart.file(name)))
				if err != nil || string(drawn) != chart.SVG() {
					t.Errorf("%s is not the chart (%v)", chart.file(name), err)
				}
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"-only", "("}, "not a pattern"},
		{[]string{"upload"}, "unexpected argument"},
	} {
		if _, err := parseOptions(test.args); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: got %v, want an error that says %q", test.args, err, test.says)
		}
	}
	o, err := parseOptions([]string{"-quick", "-only", "^upload$"})
	if err != nil {
		t.Fatal(err)
	}
	if !o.quick || !o.only.MatchString("upload") || o.only.MatchString("dispatch") {
		t.Errorf("the options were not taken: %+v", o)
	}
}
