package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hayloft/api/client"
	"hayloft/cmd/cli"
	"hayloft/scheduler"
)

// finding is one thing that the doctor looked at.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	var address, data string
	var transitions bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what this machine needs to be part of a farm", Args: none,
		Example: cli.Examples("hayloft doctor", "hayloft doctor --manager http://farm:8080 --data /srv/hayloft", "hayloft doctor --transitions"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if transitions {
				return scheduler.WriteTransitions(a.Stdout)
			}
			return a.report(a.examine(cmd.Context(), address, data))
		},
	}
	managerFlag(cmd, &address)
	cmd.Flags().StringVar(&data, "data", "hayloft-data", "`folder` that a manager on this machine would use")
	cmd.Flags().BoolVar(&transitions, "transitions", false, "print the table of all status changes of tasks, jobs and workers")
	return cmd
}

func (a *app) examine(ctx context.Context, address, data string) []finding {
	return []finding{
		program(ctx, "Blender", "blender", "needed to render: install it, or set the variable `blender` in the configuration"),
		program(ctx, "FFmpeg", "ffmpeg", "needed for preview videos: install it"),
		writable(data),
		symlinks(data),
		managerAnswers(ctx, address),
	}
}

// program looks for an executable and asks it for its version.
func program(ctx context.Context, name, exe, advice string) finding {
	path, err := exec.LookPath(exe)
	if err != nil {
		return finding{Check: name, Detail: "not found on PATH", Advice: advice}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	arg := "--version"
	if exe == "ffmpeg" {
		arg = "-version"
	}
	out, err := exec.CommandContext(ctx, path, arg).CombinedOutput()
	if err != nil {
		return finding{Check: name, Detail: fmt.Sprintf("%s does not run: %v", path, err), Advice: advice}
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return finding{Check: name, OK: true, Detail: path + ": " + strings.TrimSpace(first)}
}

// existing is the folder itself, or the nearest one above it that is there.
func existing(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "."
	}
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func writable(data string) finding {
	dir := existing(data)
	file, err := os.CreateTemp(dir, ".hayloft-doctor-*")
	if err != nil {
		return finding{Check: "data folder", Detail: err.Error(), Advice: "choose a folder that you may write with --data"}
	}
	defer os.Remove(file.Name()) //nolint:errcheck // An empty file in the worst case.
	if err := file.Close(); err != nil {
		return finding{Check: "data folder", Detail: err.Error(), Advice: "check the disk"}
	}
	return finding{Check: "data folder", OK: true, Detail: dir + " can be written"}
}

func symlinks(data string) finding {
	dir, err := os.MkdirTemp(existing(data), ".hayloft-doctor-*")
	if err != nil {
		return finding{Check: "symlinks", Detail: err.Error(), Advice: "choose a folder that you may write with --data"}
	}
	defer os.RemoveAll(dir) //nolint:errcheck // An empty folder in the worst case.
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		return finding{Check: "symlinks", Detail: err.Error(), Advice: "checkouts are symlinks: put --storage on a file system that has them (on Windows, allow them for the user)"}
	}
	return finding{Check: "symlinks", OK: true, Detail: "can be made in " + filepath.Dir(dir)}
}

func managerAnswers(ctx context.Context, address string) finding {
	c, err := client.New(address, software())
	if err != nil {
		return finding{Check: "manager", Detail: err.Error(), Advice: "give its address with --manager"}
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, err := c.Version(ctx)
	if err != nil {
		return finding{Check: "manager", Detail: err.Error(), Advice: "start one with `hayloft up`, or give its address with --manager"}
	}
	return finding{Check: "manager", OK: true, Detail: fmt.Sprintf("%s answers: %s", c.Address(), v.Name)}
}

// report prints the findings; a farm that lacks something gives exit code 1.
func (a *app) report(findings []finding) error {
	bad := 0
	for _, f := range findings {
		if !f.OK {
			bad++
		}
		if a.JSON {
			if err := a.PrintJSON(f); err != nil {
				return err
			}
			continue
		}
		mark := "ok  "
		if !f.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(a.Stdout, "%s  %-12s %s\n", mark, f.Check, f.Detail)
		if f.Advice != "" {
			fmt.Fprintf(a.Stdout, "      %-12s %s\n", "", f.Advice)
		}
	}
	if bad > 0 {
		return cli.ExitError{Code: cli.ExitFailed}
	}
	return nil
}
