package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// roles are what this program does when it started itself. The first argument names the role.
var roles = map[string]func(context.Context, []string) error{
	"role:manager": serveManager,
	"role:plain":   servePlain,
	"role:crew":    serveCrew,
}

// child is this program in another role. It answers questions, one line of JSON each, and ends when its standard input
// does, so that it never outlives its parent.
type child struct {
	role      string
	cmd       *exec.Cmd
	stdin     io.WriteCloser
	questions *json.Encoder
	answers   *json.Decoder
}

// answer is one line of a child.
type answer struct {
	Error string          `json:"error,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

func startChild(ctx context.Context, role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return &child{role: role, cmd: cmd, stdin: stdin, questions: json.NewEncoder(stdin), answers: json.NewDecoder(stdout)}, nil
}

// ask puts a question to the child and waits for its answer.
func (c *child) ask(question, value any) error {
	if err := c.questions.Encode(question); err != nil {
		return fmt.Errorf("ask %s: %w", c.role, err)
	}
	var a answer
	if err := c.answers.Decode(&a); err != nil {
		return fmt.Errorf("ask %s: it ended without an answer: %w", c.role, err)
	}
	if a.Error != "" {
		return fmt.Errorf("%s: %s", c.role, a.Error)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(a.Value, value)
}

// stop lets the child end and waits until it has.
func (c *child) stop() error {
	if err := errors.Join(c.stdin.Close(), c.cmd.Wait()); err != nil {
		return fmt.Errorf("end %s: %w", c.role, err)
	}
	return nil
}

// answerQuestions is the child's side: it answers until in ends.
func answerQuestions[Q any](in io.Reader, out io.Writer, reply func(Q) (any, error)) error {
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q Q
		if err := questions.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		var a answer
		value, err := reply(q)
		if err == nil {
			a.Value, err = json.Marshal(value)
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}
