package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/cas"
)

// Download is a program that the manager hands out.
type Download struct {
	Name     string // of the file: "hayloft-linux-amd64"
	OS, Arch string // as Go names them
	Blob     cas.Blob
}

// Downloads are the programs that the manager hands out.
type Downloads interface {
	// List gives them in the order of their names.
	List(ctx context.Context) ([]Download, error)
	// Open gives one by its name, and when it was made. The error is fs.ErrNotExist for any other name.
	Open(name string) (io.ReadSeekCloser, time.Time, error)
}

// GetDownloads lists the programs that the manager hands out.
func (s *Server) GetDownloads(ctx context.Context, _ gen.GetDownloadsRequestObject) (gen.GetDownloadsResponseObject, error) {
	files, err := s.downloads(ctx)
	if err != nil {
		return nil, err
	}
	answer := gen.GetDownloads200JSONResponse{Files: convert(files, func(d Download) wire.Download {
		return wire.Download{Name: d.Name, Os: d.OS, Arch: d.Arch, Size: d.Blob.Size, Sha256: d.Blob.Digest.String(), Url: "/downloads/" + d.Name}
	})}
	if s.OwnAddon != nil {
		sum := cas.SumBytes(s.OwnAddon)
		answer.Addon = &wire.AddonDownload{Url: "/hayloft-addon.zip", Size: int64(len(s.OwnAddon)), Sha256: sum.String()}
	}
	return answer, nil
}

func (s *Server) downloads(ctx context.Context) ([]Download, error) {
	if s.Downloads == nil {
		return nil, nil
	}
	files, err := s.Downloads.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the programs to download: %w", err)
	}
	return files, nil
}

// checksumsName is the file that `sha256sum --check` reads.
const checksumsName = "SHA256SUMS"

// serveDownload hands out a program, or the checksums of all.
func (s *Server) serveDownload(c echo.Context) error {
	name := c.Param("name")
	if name == checksumsName {
		return s.serveChecksums(c)
	}
	if s.Downloads == nil {
		return echo.ErrNotFound
	}
	file, made, err := s.Downloads.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return echo.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("open download %q: %w", name, err)
	}
	defer file.Close() //nolint:errcheck // It was only read.
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMEOctetStream)
	http.ServeContent(c.Response(), c.Request(), "", made, file)
	return nil
}

func (s *Server) serveChecksums(c echo.Context) error {
	files, err := s.downloads(c.Request().Context())
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, d := range files {
		fmt.Fprintf(&lines, "%s  %s\n", d.Blob.Digest, d.Name)
	}
	return c.String(http.StatusOK, lines.String())
}

// serveOwnAddon hands out the Blender add-on that comes with this manager.
func (s *Server) serveOwnAddon(c echo.Context) error {
	if s.OwnAddon == nil {
		return echo.ErrNotFound
	}
	http.ServeContent(c.Response(), c.Request(), "hayloft-addon.zip", time.Time{}, bytes.NewReader(s.OwnAddon))
	return nil
}
