package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"hayloft/api"
	"hayloft/cas"
)

// programs are the builds of hayloft that a manager hands out: those in a folder, named as `make release` names them, and
// for its own platform itself, if the folder has none.
type programs struct {
	folder string // may not exist
	own    string // path of this program

	mu   sync.Mutex
	sums map[string]summed // by path
}

// summed is the digest of a file as it was.
type summed struct {
	size int64
	made time.Time
	blob cas.Blob
}

var programName = regexp.MustCompile(`^hayloft-(linux|darwin|windows)-(amd64|arm64)(\.exe)?$`)

// newPrograms takes the folder, or if none was named the folder "downloads" beside this program.
func newPrograms(folder string) (*programs, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	if folder == "" {
		folder = filepath.Join(filepath.Dir(own), "downloads")
	}
	return &programs{folder: folder, own: own, sums: make(map[string]summed)}, nil
}

// paths gives the file of each program by its name.
func (p *programs) paths() (map[string]string, error) {
	found := map[string]string{ownName(): p.own}
	entries, err := os.ReadDir(p.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if programName.MatchString(entry.Name()) && entry.Type().IsRegular() {
			found[entry.Name()] = filepath.Join(p.folder, entry.Name())
		}
	}
	return found, nil
}

func ownName() string {
	name := "hayloft-" + runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return name
}

// List implements [api.Downloads].
func (p *programs) List(ctx context.Context) ([]api.Download, error) {
	paths, err := p.paths()
	if err != nil {
		return nil, err
	}
	var list []api.Download
	for name, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		blob, err := p.sum(path)
		if err != nil {
			return nil, err
		}
		parts := strings.Split(strings.TrimSuffix(name, ".exe"), "-")
		list = append(list, api.Download{Name: name, OS: parts[1], Arch: parts[2], Blob: blob})
	}
	slices.SortFunc(list, func(a, b api.Download) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// sum reads a file only if it has changed since it was read last.
func (p *programs) sum(path string) (cas.Blob, error) {
	info, err := os.Stat(path)
	if err != nil {
		return cas.Blob{}, err
	}
	p.mu.Lock()
	known := p.sums[path]
	p.mu.Unlock()
	if known.size == info.Size() && known.made.Equal(info.ModTime()) {
		return known.blob, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return cas.Blob{}, err
	}
	defer file.Close()
	blob, err := cas.SumReader(file)
	if err != nil {
		return cas.Blob{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sums[path] = summed{size: info.Size(), made: info.ModTime(), blob: blob}
	return blob, nil
}

// Open implements [api.Downloads].
func (p *programs) Open(name string) (io.ReadSeekCloser, time.Time, error) {
	paths, err := p.paths()
	if err != nil {
		return nil, time.Time{}, err
	}
	path, ok := paths[name]
	if !ok {
		return nil, time.Time{}, fmt.Errorf("program %q: %w", name, fs.ErrNotExist)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, errors.Join(err, file.Close())
	}
	return file, info.ModTime(), nil
}
