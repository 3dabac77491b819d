package flamencotest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxDeferred = 8  // files of one round that may be put off
	maxRounds   = 50 // of requirements and uploads
)

// transfer is how a project got to the farm.
type transfer struct {
	blendfile string // as the job names it
	checkout  string // with Shaman
	uploads   int
}

// projectFile is one file that travels.
type projectFile struct {
	Sha  string `json:"sha"`
	Size int64  `json:"size"`
	Path string `json:"path"`
	disk string
}

// transfer brings a project's files to the farm in the way that the farm and the packing want (section 5).
func (a *Addon) transfer(ctx context.Context, info Info, s Submission) (transfer, error) {
	blend := filepath.Join(s.Project, filepath.FromSlash(s.Blend))
	if inside(info.Location, blend) && (!info.Shaman || s.Packing == PackingV2) {
		return transfer{blendfile: filepath.ToSlash(blend)}, nil
	}
	if !info.Shaman {
		return a.copyProject(info, s)
	}
	files, err := hashProject(s.Project)
	if err != nil {
		return transfer{}, err
	}
	uploads, err := a.upload(ctx, files, s.Packing)
	if err != nil {
		return transfer{}, err
	}
	checkout, err := a.checkout(ctx, s.Name, files)
	if err != nil {
		return transfer{}, err
	}
	return transfer{blendfile: "{jobs}/" + checkout + "/" + s.Blend, checkout: checkout, uploads: uploads}, nil
}

func inside(folder, file string) bool {
	relative, err := filepath.Rel(folder, file)
	return err == nil && filepath.IsLocal(relative)
}

// copyProject is the way without Shaman: a folder of its own in the shared one.
func (a *Addon) copyProject(info Info, s Submission) (transfer, error) {
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	target := filepath.Join(info.Location, now().Format("2006-01-02T150405.000000")+"-"+s.Name)
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return transfer{}, fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	if err := os.CopyFS(target, os.DirFS(s.Project)); err != nil {
		return transfer{}, fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	return transfer{blendfile: filepath.ToSlash(filepath.Join(target, filepath.FromSlash(s.Blend)))}, nil
}

// hashProject names every file of a project by its SHA-256 and size.
func hashProject(project string) ([]projectFile, error) {
	var files []projectFile
	tree := os.DirFS(project)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		files = append(files, projectFile{
			Sha: hex.EncodeToString(sum[:]), Size: int64(len(content)), Path: name, disk: filepath.Join(project, filepath.FromSlash(name)),
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	return files, nil
}

// upload sends what the farm lacks, in rounds, until it lacks nothing. It returns the number of files that travelled.
func (a *Addon) upload(ctx context.Context, files []projectFile, packing Packing) (int, error) {
	uploads := 0
	for range maxRounds {
		lacking, err := a.requirements(ctx, files)
		if err != nil {
			return uploads, err
		}
		if len(lacking) == 0 {
			return uploads, nil
		}
		mathrand.Shuffle(len(lacking), func(i, j int) { lacking[i], lacking[j] = lacking[j], lacking[i] }) //nolint:gosec // it keeps clients out of each other's way
		sent, err := a.round(ctx, lacking, packing)
		uploads += sent
		if err != nil {
			return uploads, err
		}
	}
	return uploads, fmt.Errorf("%w: files are missing after %d rounds", ErrTransfer, maxRounds)
}

// requirements asks which files the farm lacks. A path that was not asked about ends the submission.
func (a *Addon) requirements(ctx context.Context, files []projectFile) ([]projectFile, error) {
	got, err := a.caller().call(ctx, asJSON("/shaman/checkout/requirements", map[string]any{"files": files}))
	if err != nil {
		return nil, err
	}
	var said struct {
		Files []projectFile `json:"files"`
	}
	if err := a.success(got, requirementsShape, &said); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	lacking := make([]projectFile, 0, len(said.Files))
	for _, file := range said.Files {
		at := slices.IndexFunc(files, func(f projectFile) bool { return f.Path == file.Path })
		if at < 0 || files[at].Sha != file.Sha || files[at].Size != file.Size {
			a.Fault("requirements name %q, which was not asked about", file.Path)
			return nil, fmt.Errorf("%w: the manager names an unknown path %q", ErrTransfer, file.Path)
		}
		lacking = append(lacking, files[at])
	}
	return lacking, nil
}

// round sends files one after the other. Those that another client is sending are put off, up to a number.
func (a *Addon) round(ctx context.Context, lacking []projectFile, packing Packing) (int, error) {
	deferred, sent := 0, 0
	for _, file := range lacking {
		place := "/shaman/files/" + file.Sha + "/" + fmt.Sprint(file.Size)
		var known struct {
			Status string `json:"status"`
		}
		if err := a.get(ctx, place, fileStatusShape, &known); err != nil {
			return sent, fmt.Errorf("%w: %w", ErrTransfer, err)
		}
		if known.Status == "stored" {
			continue
		}
		got, err := a.send(ctx, place, file, deferred < maxDeferred)
		switch {
		case err != nil:
			return sent, fmt.Errorf("%w: %w", ErrTransfer, err)
		case got.status == http.StatusTooEarly && deferred >= maxDeferred:
			a.Fault("425 was answered although the upload must not be put off: %v", got)
			return sent, fmt.Errorf("%w: %v", ErrTransfer, got)
		case got.status == http.StatusTooEarly:
			deferred++
		case got.status == http.StatusAlreadyReported:
		case got.status >= 200 && got.status <= 299:
			sent++
		case packing == PackingV1:
			return sent, fmt.Errorf("%w: %v", ErrTransfer, got)
		}
	}
	return sent, nil
}

// send uploads one file, whole from memory as the original does.
func (a *Addon) send(ctx context.Context, place string, file projectFile, mayDefer bool) (answer, error) {
	content, err := os.ReadFile(file.disk)
	if err != nil {
		return answer{}, err
	}
	header := map[string]string{
		"X-Shaman-Can-Defer-Upload":  "False",
		"X-Shaman-Original-Filename": mime.BEncoding.Encode("utf-8", path.Base(file.Path)),
	}
	if mayDefer {
		header["X-Shaman-Can-Defer-Upload"] = "True" // as Python writes it
	}
	return a.caller().call(ctx, message{
		method: http.MethodPost, path: place, body: content, contentType: "application/octet-stream", header: header,
	})
}

// checkout asks for a folder of links. Its name is the job's name, whatever that is.
func (a *Addon) checkout(ctx context.Context, name string, files []projectFile) (string, error) {
	got, err := a.caller().call(ctx, asJSON("/shaman/checkout/create", map[string]any{"checkoutPath": name, "files": files}))
	if err != nil {
		return "", err
	}
	var said struct {
		Path string `json:"checkoutPath"`
	}
	if err := a.success(got, checkoutShape, &said); err != nil {
		return "", fmt.Errorf("%w: checkout %q: %w", ErrTransfer, name, err)
	}
	if said.Path == "" || strings.HasPrefix(said.Path, "/") {
		a.Fault("the checkout is %q, which is no path below {jobs}", said.Path)
	}
	return said.Path, nil
}
