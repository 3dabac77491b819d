package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler/variables"
)

// CheckSharedStoragePath tells whether a folder can be the shared storage. What speaks against it is an answer, not an
// error.
func (s *Server) CheckSharedStoragePath(_ context.Context, r gen.CheckSharedStoragePathRequestObject) (gen.CheckSharedStoragePathResponseObject, error) {
	verdict := gen.CheckSharedStoragePath200JSONResponse{Path: r.Body.Path, IsUsable: true, Cause: "the folder can be used"}
	if err := s.checkStorage(r.Body.Path); err != nil {
		verdict.IsUsable, verdict.Cause = false, err.Error()
	}
	return verdict, nil
}

// checkStorage wants an absolute path of a folder in which the manager can write, apart from the manager's own files.
func (s *Server) checkStorage(path string) error {
	switch {
	case path == "":
		return errors.New("the path is empty; name the folder that all workers can reach")
	case strings.HasPrefix(path, `\\`), strings.HasPrefix(path, "//"):
		return errors.New("this is a UNC path, which many programs cannot use; give the share a drive letter or mount it")
	case !filepath.IsAbs(path):
		return errors.New("the path is not absolute; write it from the root or the drive on")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such folder; make it first")
	case err != nil:
		return fmt.Errorf("the folder cannot be looked at: %w", err)
	case !info.IsDir():
		return errors.New("this is a file; name a folder")
	case within(s.JobFiles, path), within(path, s.JobFiles):
		return errors.New("the manager keeps its own files here; name a folder apart from them")
	}
	return writeProbe(path)
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(relative)
}

// writeProbe writes a file into a folder and takes it away again.
func writeProbe(dir string) error {
	probe, err := os.CreateTemp(dir, ".hayloft-probe-*")
	if err != nil {
		return fmt.Errorf("no file can be made in the folder: %w", err)
	}
	_, err = probe.WriteString("may be deleted\n")
	if err = errors.Join(err, probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("no file can be written in the folder: %w", err)
	}
	return nil
}

// FindBlenderExePath lists the Blenders of the manager's own machine: the one in the PATH, then those where Blender is
// usually installed.
func (s *Server) FindBlenderExePath(ctx context.Context, _ gen.FindBlenderExePathRequestObject) (gen.FindBlenderExePathResponseObject, error) {
	found := gen.FindBlenderExePath200JSONResponse{}
	add := func(candidate wire.BlenderPathCheckResult) {
		known := slices.ContainsFunc(found, func(f wire.BlenderPathCheckResult) bool { return f.Path == candidate.Path })
		if candidate.IsUsable && !known {
			found = append(found, candidate)
		}
	}
	add(s.checkBlender(ctx, "blender"))
	for _, path := range installedBlenders() {
		result := s.checkBlender(ctx, path)
		result.Input, result.Source = "", wire.BlenderFromSystem
		add(result)
	}
	return found, nil
}

// mostBlenders is how many installed Blenders are tried.
const mostBlenders = 4

// installedBlenders finds the usual places, newest version first.
func installedBlenders() []string {
	pattern := map[string]string{
		"linux":   "/opt/blender*/blender",
		"darwin":  "/Applications/Blender*.app/Contents/MacOS/Blender",
		"windows": `C:\Program Files\Blender Foundation\Blender*\blender.exe`,
	}[runtime.GOOS]
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	return paths[:min(len(paths), mostBlenders)]
}

// CheckBlenderExePath tells whether a command or a path is a Blender.
func (s *Server) CheckBlenderExePath(ctx context.Context, r gen.CheckBlenderExePathRequestObject) (gen.CheckBlenderExePathResponseObject, error) {
	return gen.CheckBlenderExePath200JSONResponse(s.checkBlender(ctx, r.Body.Path)), nil
}

// checkBlender finds the program and asks for its version.
func (s *Server) checkBlender(ctx context.Context, input string) wire.BlenderPathCheckResult {
	result := wire.BlenderPathCheckResult{Input: input, Source: wire.BlenderFromInput}
	if !strings.ContainsAny(input, `/\`) {
		result.Source = wire.BlenderFromPath
	}
	path, err := findBlender(input)
	if err == nil {
		result.Path = path
		result.Cause, err = s.blenderVersion(ctx, path)
	}
	if result.IsUsable = err == nil; !result.IsUsable {
		result.Cause = err.Error()
	}
	return result
}

// findBlender gives the path of an executable file whose name says that it is a Blender: this manager runs no other
// program because somebody asked it to.
func findBlender(input string) (string, error) {
	switch {
	case input == "":
		return "", errors.New("the path is empty; name a command or the path of Blender")
	case strings.ContainsAny(input, `/\`) && !filepath.IsAbs(input):
		return "", errors.New("the path is not absolute; write it from the root or the drive on")
	case !strings.Contains(strings.ToLower(filepath.Base(input)), "blender"):
		return "", errors.New("the file's name does not say that it is Blender, so it was not run")
	}
	path, err := exec.LookPath(input)
	if err != nil {
		return "", fmt.Errorf("no program was found: %w", err)
	}
	return path, nil
}

// blenderAnswerTime is how long Blender may take to tell its version.
const blenderAnswerTime = 10 * time.Second

// blenderVersion runs `blender --version` and gives the first line of what it says.
func (s *Server) blenderVersion(ctx context.Context, path string) (string, error) {
	select {
	case s.blenders <- struct{}{}:
		defer func() { <-s.blenders }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, blenderAnswerTime)
	defer cancel()
	said := &firstBytes{limit: 4 << 10}
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Stdout, cmd.WaitDelay = said, time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("it did not tell its version within %v", blenderAnswerTime)
	case err != nil:
		return "", fmt.Errorf("it could not be run: %w", err)
	}
	lines := bufio.NewScanner(&said.kept)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "Blender ") {
		return "", errors.New("it runs, but does not say that it is Blender")
	}
	return lines.Text(), nil
}

// firstBytes keeps the beginning of what is written and takes the rest.
type firstBytes struct {
	kept  bytes.Buffer // not embedded: its ReadFrom knows no limit
	limit int
}

// Write never fails.
func (b *firstBytes) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), b.limit-b.kept.Len())])
	return len(p), nil
}

// SaveSetupAssistantConfig stores where the shared storage and Blender are. It acts from the next start on.
func (s *Server) SaveSetupAssistantConfig(ctx context.Context, r gen.SaveSetupAssistantConfigRequestObject) (gen.SaveSetupAssistantConfigResponseObject, error) {
	chosen := r.Body.BlenderExecutable
	if !chosen.IsUsable {
		return nil, fmt.Errorf("%w: the set-up is not complete: Blender %q cannot be used; choose another", errInvalid, chosen.Input)
	}
	if err := s.checkStorage(r.Body.StorageLocation); err != nil {
		return nil, fmt.Errorf("%w: shared storage %q: %w", errInvalid, r.Body.StorageLocation, err)
	}
	blender, err := chosenBlender(chosen)
	if err != nil {
		return nil, err
	}
	err = s.configure(ctx, func(settings *Settings) error {
		settings.SharedStorage = r.Body.StorageLocation
		settings.Variables = settings.Variables.With("blenderArgs", variables.Defaults()["blenderArgs"].Values[0].Value)
		settings.Variables["blender"] = blender
		return settings.check()
	})
	if err != nil {
		return nil, err
	}
	return gen.SaveSetupAssistantConfig204Response{}, nil
}

// chosenBlender is the variable for what a person chose. A path holds for the platform of the manager; elsewhere, and for
// a Blender that the system found by its name, the name counts.
func chosenBlender(chosen wire.BlenderPathCheckResult) (variables.Variable, error) {
	command := map[string]string{"linux": "blender", "darwin": "blender", "windows": "blender.exe"}
	switch chosen.Source {
	case wire.BlenderFromInput, wire.BlenderFromSystem:
		if chosen.Path == "" {
			return variables.Variable{}, fmt.Errorf("%w: the set-up is not complete: Blender has no path", errInvalid)
		}
		command[runtime.GOOS] = chosen.Path
	case wire.BlenderFromPath:
		if chosen.Input != "" {
			command[runtime.GOOS] = chosen.Input
		}
	case wire.BlenderFromFileAssociation, wire.BlenderFromDefault:
	}
	blender := variables.Variable{}
	for _, platform := range []string{"linux", "windows", "darwin"} {
		blender.Values = append(blender.Values, variables.Value{Platforms: []string{platform}, Value: command[platform]})
	}
	return blender, nil
}
