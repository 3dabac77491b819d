package scheduler

import (
	"fmt"
	"io"
	"strings"
)

// WriteTransitions prints the whole table as Markdown, one table an entity; ARCHITECTURE.md holds the same text.
func WriteTransitions(w io.Writer) error {
	var b strings.Builder
	for _, e := range []Entity{EntityTask, EntityJob, EntityWorker} {
		fmt.Fprintf(&b, "| %s event | from | to | with it | by |\n|---|---|---|---|---|\n", e)
		for _, t := range Transitions {
			if t.Entity != e {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", t.Event, strings.Join(t.From, ", "), t.To, t.Effect, t.By)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteDiagram draws the states of one entity as a Mermaid state diagram.
func WriteDiagram(w io.Writer, e Entity) error {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	label := func(status string) string { return strings.ReplaceAll(status, "-", "_") }
	for _, t := range Transitions {
		if t.Entity != e {
			continue
		}
		for _, from := range t.From {
			if from != t.To {
				fmt.Fprintf(&b, "  %s --> %s: %s\n", label(from), label(t.To), t.Event)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
