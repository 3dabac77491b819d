package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// Environment is what a program takes from the process that it runs in.
type Environment struct {
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// Process is the environment of this process.
func Process() Environment {
	return Environment{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}

// Output writes for people, or for machines if JSON is set.
type Output struct {
	Environment
	JSON bool
	// ProgressJSON writes progress as JSON objects, one a line, to standard error.
	ProgressJSON bool
}

// SetProgress takes the value of --progress.
func (o *Output) SetProgress(how string) error {
	switch how {
	case "", "auto":
		return nil
	case "json":
		o.ProgressJSON = true
		return nil
	}
	return Usage("--progress %s: it is auto or json", how)
}

// PrintJSON writes one object on one line.
func (o *Output) PrintJSON(value any) error {
	encoder := json.NewEncoder(o.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// Say writes a line for people to standard error, where it disturbs nobody who reads the results.
func (o *Output) Say(format string, args ...any) { fmt.Fprintf(o.Stderr, format+"\n", args...) }

// Table writes aligned columns to standard output.
func (o *Output) Table(header string, rows func(w io.Writer)) error {
	w := tabwriter.NewWriter(o.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(w)
	return w.Flush()
}

// Interactive tells whether a person watches standard error, so that a line may be drawn over.
func (o *Output) Interactive() bool {
	if o.JSON || o.Getenv("TERM") == "dumb" || o.Getenv("NO_COLOR") != "" {
		return false
	}
	file, ok := o.Stderr.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// BytesText writes a number of bytes for people, in powers of 1000.
func BytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < 3 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGT"[unit])
}

// DurationText writes a time span for people, to the tenth of a second below a minute.
func DurationText(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Percent is done of total, rounded down; 0 when there is nothing to do.
func Percent(done, total int64) int {
	if total <= 0 {
		return 0
	}
	return int(done * 100 / total)
}

// Examples lays out command lines for the help of a command.
func Examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
