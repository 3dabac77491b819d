package cli

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1499: "1.5 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 999_999: "1.0 MB",
		1_000_000_000: "1.0 GB", 5_500_000_000_000: "5.5 TB", 5_000_000_000_000_000: "5000.0 TB",
	} {
		if got := BytesText(n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 1240 * time.Millisecond: "1.2 s", 59 * time.Second: "59.0 s", time.Minute: "1m", 61 * time.Second: "1m1s",
		70 * time.Second: "1m10s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + 20*time.Second: "1h0m20s",
	} {
		if got := DurationText(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, test := range []struct {
		done, total int64
		want        int
	}{{0, 0, 0}, {0, 3, 0}, {1, 3, 33}, {2, 3, 66}, {3, 3, 100}, {999, 1000, 99}} {
		if got := Percent(test.done, test.total); got != test.want {
			t.Errorf("%d of %d: %d %%, want %d", test.done, test.total, got, test.want)
		}
	}
}

// written collects what an Output writes to a stream that is no terminal.
func written(json bool, write func(o *Output)) (stdout, stderr string) {
	var out, err bytes.Buffer
	write(&Output{JSON: json, Environment: Environment{Stdout: &out, Stderr: &err, Getenv: func(string) string { return "" }}})
	return out.String(), err.String()
}

func TestResultsGoToStandardOutput(t *testing.T) {
	stdout, stderr := written(true, func(o *Output) {
		if err := o.PrintJSON(map[string]string{"path": "a&b <c>"}); err != nil {
			t.Error(err)
		}
	})
	if stdout != "{\"path\":\"a&b <c>\"}\n" || stderr != "" {
		t.Errorf("%q, %q", stdout, stderr)
	}
	stdout, stderr = written(false, func(o *Output) {
		if err := o.Table("NAME\tSIZE", func(w io.Writer) { fmt.Fprintln(w, "a long name\t1") }); err != nil {
			t.Error(err)
		}
	})
	if stdout != "NAME         SIZE\na long name  1\n" || stderr != "" {
		t.Errorf("%q, %q", stdout, stderr)
	}
}

// TestProgressElsewhereIsPlainLines holds that nothing is drawn where nobody watches.
func TestProgressElsewhereIsPlainLines(t *testing.T) {
	stdout, stderr := written(false, func(o *Output) {
		bytes := o.BytesProgress("sending", 2000)
		bytes.Add(500)
		bytes.Set(2000)
		bytes.End()
		steps := o.StepsProgress("rendering", 4)
		steps.Set(2)
		o.Line("active", 2, 4)
		steps.End()
	})
	if want := "sending: 2.0 kB\nrendering: 4 steps\nactive: 2 of 4 steps (50%)\n"; stdout != "" || stderr != want {
		t.Errorf("%q, %q", stdout, stderr)
	}
}
