package worker

import (
	"context"
	"crypto/sha256"
	_ "embed" // the question is part of the binary
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hayloft/worker/process"
)

// ErrNoBlender says that there is no Blender to ask.
var ErrNoBlender = errors.New("no Blender")

// abilitiesScript makes a Blender print what it can do.
//
//go:embed abilities.py
var abilitiesScript string

// abilitiesMarker begins the lines of the answer; a JSON list of texts follows.
const abilitiesMarker = "HAYLOFT-ABILITIES "

const (
	// askLimit is how long a Blender may take to answer. A first start from a slow disk, with many add-ons, takes long.
	askLimit = 2 * time.Minute
	// answerAge is how long an answer counts. What a Blender can do depends on drivers and add-ons as well, which its
	// file does not show.
	answerAge = 24 * time.Hour
	// answersKept is how many Blenders the file of answers holds; the oldest answer goes first.
	answersKept = 16
)

const answersFile = "blender-abilities.json"

// Blender is what one Blender can do. Abilities are sorted texts in the words of a job's requirements: blender:4.2.3
// (its version), engine:CYCLES, denoiser:openimagedenoise, gpu (it can draw, or compute on a graphics card), gpu:OPTIX
// (such a card is there), alembic, usd, openvdb, osl, fluid, ocean.
type Blender struct {
	Path      string   // of its file, symbolic links followed
	Abilities []string // never nil
	Asked     time.Time
}

// AskBlender finds out what a Blender can do by running it once in the background, which takes a second or more. exe is a
// path or a name on the PATH. The answer is kept in dataDir for a day, as long as the path, size and time of the file stay
// the same; an empty dataDir keeps nothing. [ErrNoBlender] when there is no such program.
func AskBlender(ctx context.Context, exe, dataDir string) (Blender, error) {
	q := blenderQuestion{keep: dataDir, temp: dataDir, now: time.Now}
	return q.ask(ctx, exe)
}

// blenderQuestion asks Blenders what they can do.
type blenderQuestion struct {
	keep   string // folder for the answers; empty: they are not kept
	temp   string // folder for the Blender's temporary files; empty: the system's
	ledger *process.Ledger
	grace  time.Duration
	now    func() time.Time
}

// keptAnswer is a line of the file of answers.
type keptAnswer struct {
	Path      string    `json:"path"`
	Size      int64     `json:"size"`
	Modified  time.Time `json:"modified"`
	Question  string    `json:"question"` // digest of the script
	Asked     time.Time `json:"asked"`
	Abilities []string  `json:"abilities"`
}

func (q *blenderQuestion) ask(ctx context.Context, exe string) (Blender, error) {
	program, err := findProgram(exe, "blender", "install Blender or set the variable 'blender'")
	if err != nil {
		return Blender{}, fmt.Errorf("%w: %w", ErrNoBlender, err)
	}
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		program = resolved
	}
	file, err := os.Stat(program)
	if err != nil {
		return Blender{}, fmt.Errorf("look at Blender: %w", err)
	}
	sum := sha256.Sum256([]byte(abilitiesScript))
	a := keptAnswer{Path: program, Size: file.Size(), Modified: file.ModTime().UTC(), Question: hex.EncodeToString(sum[:]), Asked: q.now().UTC()}
	kept := q.load()
	for _, k := range kept {
		if k.answers(a) {
			return k.blender(), nil
		}
	}
	if a.Abilities, err = q.run(ctx, program); err != nil {
		return Blender{}, err
	}
	if err := q.save(kept, a); err != nil {
		return Blender{}, err
	}
	return a.blender(), nil
}

// answers tells whether a kept answer is one to the question that asked would put.
func (k keptAnswer) answers(asked keptAnswer) bool {
	age := asked.Asked.Sub(k.Asked)
	return k.Path == asked.Path && k.Size == asked.Size && k.Modified.Equal(asked.Modified) && k.Question == asked.Question &&
		k.Abilities != nil && age >= 0 && age < answerAge
}

func (k keptAnswer) blender() Blender {
	return Blender{Path: k.Path, Abilities: k.Abilities, Asked: k.Asked}
}

// load gives the kept answers, newest first. What cannot be read is asked again.
func (q *blenderQuestion) load() (kept []keptAnswer) {
	if q.keep == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(q.keep, answersFile))
	if err != nil || json.Unmarshal(text, &kept) != nil {
		return nil
	}
	return kept
}

func (q *blenderQuestion) save(kept []keptAnswer, a keptAnswer) error {
	if q.keep == "" {
		return nil
	}
	kept = slices.DeleteFunc(kept, func(k keptAnswer) bool { return k.Path == a.Path })
	kept = slices.Insert(kept, 0, a)
	text, err := json.Marshal(kept[:min(len(kept), answersKept)])
	if err == nil {
		err = writeDurably(filepath.Join(q.keep, answersFile), text)
	}
	if err != nil {
		return fmt.Errorf("keep what Blender can do: %w", err)
	}
	return nil
}

// run asks a Blender. One that told something and then crashed or hung has answered.
func (q *blenderQuestion) run(ctx context.Context, program string) ([]string, error) {
	if q.temp != "" {
		if err := os.MkdirAll(q.temp, 0o700); err != nil {
			return nil, fmt.Errorf("make a directory to ask Blender in: %w", err)
		}
	}
	dir, err := os.MkdirTemp(q.temp, "ask-blender-")
	if err != nil {
		return nil, fmt.Errorf("make a directory to ask Blender in: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // It is a folder for temporary files.
	limited, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("it did not end within %v", askLimit))
	defer cancel()
	var answer heardAbilities
	exit, err := process.Run(limited, process.Spec{
		Args: []string{program, "--background", "-noaudio", "--python-expr", abilitiesScript},
		Env:  (&execution{dir: dir}).environment(), Ledger: q.ledger, Grace: q.grace,
		Line: func(line process.Line) { answer.hear(line.Text) },
	})
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case answer.answered:
		slices.Sort(answer.abilities)
		return append([]string{}, slices.Compact(answer.abilities)...), nil
	case err == nil:
		err = failure("it", exit)
	}
	if err == nil {
		err = errors.New("it printed no answer")
	}
	return nil, fmt.Errorf("ask %s what it can do: %w; the last line that it printed is %q", program, err, answer.last)
}

// heardAbilities picks the answer out of what a Blender prints.
type heardAbilities struct {
	answered  bool
	abilities []string
	last      string
}

func (h *heardAbilities) hear(line string) {
	if strings.TrimSpace(line) != "" {
		h.last = oneLine(line)
	}
	_, text, ok := strings.Cut(line, abilitiesMarker)
	var list []string
	if ok && json.Unmarshal([]byte(text), &list) == nil {
		h.abilities = append(h.abilities, list...)
		h.answered = true
	}
}

// renderTaskType is the type of the tasks that a Blender is needed for.
const renderTaskType = "blender"

// abilities finds out what the worker's Blender can do. Nil is not told: by a worker that does not render, and by one whose
// Blender gives no answer, since nobody shall be kept from work by a question that went wrong.
func (a *Agent) abilities(ctx context.Context) (*[]string, error) {
	if !slices.Contains(a.cfg.TaskTypes, renderTaskType) {
		return nil, nil
	}
	exe, err := a.blenderProgram(ctx)
	if err != nil {
		return nil, err
	}
	q := blenderQuestion{keep: a.cfg.DataDir, temp: filepath.Join(a.cfg.DataDir, "tasks"), ledger: a.ledger, grace: a.timing.grace, now: time.Now}
	b, err := q.ask(ctx, exe)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, ErrNoBlender):
		a.log.Warn("there is no Blender for jobs that require something of it", "error", err)
		return &[]string{}, nil
	case err != nil:
		a.log.Warn("it is not known what Blender can do; the manager will take it for everything", "error", err)
		return nil, nil
	}
	a.log.Info("Blender can do this", "blender", b.Path, "abilities", strings.Join(b.Abilities, " "))
	return &b.Abilities, nil
}

// blenderProgram is the Blender that the manager will have this worker run.
func (a *Agent) blenderProgram(ctx context.Context) (exe string, err error) {
	if a.cfg.Blender != "" {
		return a.cfg.Blender, nil
	}
	err = a.persist(ctx, func(ctx context.Context) (err error) {
		exe, err = a.registry.Variable(ctx, "blender")
		return err
	})
	var r *refusal
	if errors.As(err, &r) || (err == nil && exe == "") {
		return "blender", nil // A manager that does not tell its variables, or has none of that name.
	}
	return exe, err
}
