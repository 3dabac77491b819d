package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"hayloft/cmd/cli"
	"hayloft/cmd/dropfolder"
)

const (
	maxArchive      = 64 << 30         // bytes of an archive that is fetched
	archiveStall    = 60 * time.Second // how long its server may send nothing
	archiveRedirect = 5                // times that its server may point elsewhere
)

// isURL tells whether a project is named by the address of an archive. A file of such a name would have to be ./http:...
func isURL(target string) bool {
	return strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://")
}

// fetchedProject is a project that came as an archive.
type fetchedProject struct{ dir, blend string }

// remove deletes it from this machine.
func (p fetchedProject) remove() { _ = os.RemoveAll(filepath.Dir(p.dir)) } // It lies in the folder for temporary files.

// localProject gives the project on this machine that target names, fetched if it is an address, and what removes it again.
func (a *app) localProject(ctx context.Context, s *submission, target string) (local string, remove func(), err error) {
	if !isURL(target) {
		return target, func() {}, nil
	}
	came, err := a.fetchProject(ctx, target)
	if err != nil {
		return "", nil, err
	}
	s.project = came.dir
	s.array.lieIn(came.dir)
	return came.blend, came.remove, nil
}

// fetchProject fetches the zip at an address, checks and unpacks it. The caller removes the project.
func (a *app) fetchProject(ctx context.Context, address string) (p fetchedProject, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return p, cli.Usage("%s is no address such as https://files.example/shot.zip", address)
	}
	base, err := os.MkdirTemp("", "hayloft-archive-*")
	if err != nil {
		return p, fmt.Errorf("make a folder for the archive: %w", err)
	}
	p.dir = filepath.Join(base, "project")
	defer func() {
		if err != nil {
			p.remove()
		}
	}()
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return p, fmt.Errorf("make a folder for the archive: %w", err)
	}
	archive, err := os.Create(filepath.Join(base, "archive.zip"))
	if err != nil {
		return p, fmt.Errorf("make a file for the archive: %w", err)
	}
	defer archive.Close() //nolint:errcheck // It was written and read by now.
	if err := a.fetchArchive(ctx, u, archive); err != nil {
		return p, fmt.Errorf("fetch %s: %w", u.Redacted(), err)
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" {
		name = "archive.zip"
	}
	p.blend, err = dropfolder.Unpack(ctx, archive, name, p.dir, dropfolder.Limits{})
	return p, err
}

// fetchArchive writes what lies at an address to a file. A server that stalls or sends too much is cut off.
func (a *app) fetchArchive(ctx context.Context, u *url.URL, to io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(archiveStall, func() { cancel(fmt.Errorf("its server sent nothing for %v", archiveStall)) })
	defer stall.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, CheckRedirect: checkRedirect}).Do(request)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer answer.Body.Close() //nolint:errcheck // It was only read.
	switch {
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("its server answered %s", answer.Status)
	case answer.ContentLength > maxArchive:
		return errArchiveSize
	}
	bar := a.BytesProgress("fetching", max(0, answer.ContentLength))
	defer bar.End()
	n, err := io.Copy(to, &watched{from: io.LimitReader(answer.Body, maxArchive+1), stall: stall, seen: func(n int) { bar.Add(n) }})
	if err != nil {
		return causeOf(ctx, err)
	}
	if n > maxArchive {
		return errArchiveSize
	}
	return nil
}

var errArchiveSize = fmt.Errorf("it has more than %d GiB; send the project from a folder instead", maxArchive>>30)

// causeOf prefers the reason for which a request was cut off.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > archiveRedirect {
		return fmt.Errorf("its server pointed elsewhere more than %d times", archiveRedirect)
	}
	if next.URL.Scheme != "http" && next.URL.Scheme != "https" {
		return errors.New("its server pointed to what is no web address")
	}
	return nil
}

// watched is a body whose pieces put off the end for stalling.
type watched struct {
	from  io.Reader
	stall *time.Timer
	seen  func(n int)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	if n > 0 {
		w.stall.Reset(archiveStall)
		w.seen(n)
	}
	return n, err
}
