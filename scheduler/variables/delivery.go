package variables

import (
	"encoding/json"
	"strings"
)

// Delivery turns the texts of stored jobs into what their recipient understands. It never changes and is safe for
// concurrent use.
type Delivery struct {
	values map[string]string
	// leads says what to do with a text that begins with a variable.
	leads map[string]lead
	// from are the manager's paths that the recipient knows under another name; to is what they are there.
	from prefixes
	to   map[string]prefix
	// mayLead are the bytes with which a path of from can begin.
	mayLead [256]bool
}

// lead is what a variable at the beginning of a text says about that text.
type lead struct {
	// path says that the text is a path of the recipient's, and windows of which kind.
	path, windows bool
	// settled says that the text is right as it is.
	settled bool
}

// NewDelivery prepares the translation from the manager's view of a set to the recipient's.
func NewDelivery(manager, recipient View) *Delivery {
	d := &Delivery{
		values: make(map[string]string, len(recipient.meanings)),
		leads:  make(map[string]lead, len(recipient.meanings)),
		to:     make(map[string]prefix, len(recipient.paths)),
	}
	for _, p := range recipient.paths {
		d.to[p.name] = p
	}
	d.learnPaths(manager.paths)
	for name, m := range recipient.meanings {
		d.learn(name, m)
	}
	// What has no name on the recipient's platform may still lie below something that has.
	for _, p := range manager.paths {
		if _, known := recipient.meanings[p.name]; known {
			continue
		}
		if text, base, ok := d.rebase(native(p.text, p.windows)); ok {
			d.values[p.name], d.leads[p.name] = text, lead{path: true, windows: base.windows}
		}
	}
	return d
}

// learnPaths keeps the paths of the manager that are others for the recipient. One that is the same is kept too where
// it lies below a path that is not: it must not be moved with that.
func (d *Delivery) learnPaths(manager prefixes) {
	moved := false
	for _, p := range manager {
		to, known := d.to[p.name]
		if !known {
			continue
		}
		d.from = append(d.from, p)
		moved = moved || to.text != p.text
	}
	if !moved {
		d.from = nil
	}
	for _, p := range d.from {
		p.openings(&d.mayLead)
	}
}

// learn takes in what one variable means to the recipient.
func (d *Delivery) learn(name string, m meaning) {
	d.values[name] = m.text
	if p, ok := d.to[name]; ok {
		d.leads[name] = lead{path: true, windows: p.windows}
		return
	}
	if m.own {
		d.leads[name] = lead{settled: true}
		return
	}
	// A value for all platforms is the manager's own path, as with jobs.
	if text, base, ok := d.rebase(m.text); ok {
		d.values[name], d.leads[name] = text, lead{path: true, windows: base.windows}
	}
}

// rebase writes a path of the manager as the recipient has it, if that differs. Base is the recipient's path above it.
func (d *Delivery) rebase(text string) (moved string, base prefix, ok bool) {
	p, rest, ok := d.from.match(text)
	base = d.to[p.name]
	if !ok || base.text == p.text {
		return text, prefix{}, false
	}
	return native(base.text+p.logical(rest), base.windows), base, true
}

// Text delivers one text. Each known {name} becomes what it means to the recipient. Then:
//
//   - A text that begins with a two-way variable is a path: it gets the separators of the recipient's platform.
//   - A text that begins with the manager's value of a two-way variable, spelled out or by way of a variable that holds
//     on all platforms, gets the recipient's value and separators instead.
//   - Any other text, such as a line of Python, keeps its slashes.
func (d *Delivery) Text(text string) string {
	expanded := Expand(text, d.values)
	if name, rest, ok := leadingName(text); ok {
		switch l := d.leads[name]; {
		case l.path && (rest == "" || rest[0] == '/' || rest[0] == '\\'):
			return native(expanded, l.windows)
		case l.path, l.settled:
			return expanded
		}
	}
	moved, _, _ := d.rebase(expanded)
	return moved
}

// leadingName returns the name of the variable that a text begins with.
func leadingName(text string) (name, rest string, ok bool) {
	if !strings.HasPrefix(text, "{") {
		return "", "", false
	}
	name, rest, ok = strings.Cut(text[1:], "}")
	return name, rest, ok
}

// Commands delivers the texts in the parameters of commands, as [ExpandParameters] finds them, each by [Delivery.Text].
// What is not valid JSON, or needs no change, is returned as the same slice.
func (d *Delivery) Commands(commands json.RawMessage) json.RawMessage {
	return rewriteParameters(commands, d.Text, d.concerns)
}

// concerns says whether Text may change a text that is written without escapes.
func (d *Delivery) concerns(text []byte) bool {
	return len(text) > 0 && (d.mayLead[text[0]] || hasBrace(text))
}
