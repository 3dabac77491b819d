package api

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hayloft/scheduler"
)

//go:embed explorer/index.html explorer/explorer.js explorer/explorer.css
var explorer embed.FS

// pagePolicy lets the page and the explorer talk to their own manager and to nobody else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// routeFiles adds what lies beside the operations of the contract.
func (s *Server) routeFiles(e *echo.Echo) {
	e.GET("/", func(c echo.Context) error { return c.Redirect(http.StatusTemporaryRedirect, "/app/") })
	e.GET("/api/v3/openapi3.json", func(c echo.Context) error {
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, s.spec)
	})
	e.GET("/api/v3/swagger-ui", func(c echo.Context) error {
		return c.Redirect(http.StatusPermanentRedirect, "/api/v3/swagger-ui/")
	})
	e.GET("/api/v3/swagger-ui/*", s.serveExplorer)
	e.GET("/job-files/:prefix/:job/:file", s.serveJobFile)
	e.GET("/flamenco-addon.zip", s.serveAddon)
	e.GET("/flamenco3-addon.zip", func(c echo.Context) error {
		return c.Redirect(http.StatusPermanentRedirect, "/flamenco-addon.zip")
	})
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		e.Add(method, "/hayloft-addon.zip", s.serveOwnAddon)
		e.Add(method, "/downloads/:name", s.serveDownload)
	}
	if s.Description != nil {
		e.GET("/upnp/description.xml", echo.WrapHandler(s.Description))
	}
	if s.Page != nil {
		e.GET("/app", func(c echo.Context) error { return c.Redirect(http.StatusTemporaryRedirect, "/app/") })
		e.GET("/app/*", s.servePage)
		e.GET("/favicon.svg", s.serveFavicon)
		e.GET("/favicon.ico", s.serveFavicon)
	}
}

// serveAddon hands out the Blender add-on, if the farm has one.
func (s *Server) serveAddon(c echo.Context) error {
	if s.Addon == "" {
		return echo.ErrNotFound
	}
	file, err := os.Open(s.Addon)
	if errors.Is(err, fs.ErrNotExist) {
		return echo.ErrNotFound
	} else if err != nil {
		return fmt.Errorf("open the add-on: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open the add-on: %w", err)
	}
	http.ServeContent(c.Response(), c.Request(), "flamenco-addon.zip", info.ModTime(), file)
	return nil
}

func (s *Server) serveExplorer(c echo.Context) error {
	files, err := fs.Sub(explorer, "explorer")
	if err != nil {
		return err
	}
	return serveStatic(c, files, pageFile(c.Param("*")), "no-cache")
}

func pageFile(name string) string {
	if name = path.Clean("/" + name)[1:]; name != "" {
		return name
	}
	return "index.html"
}

// servePage serves the built page. A path that is no file is one of the page's own addresses and gets index.html; one that
// looks like a file and is none is not found, so that a stale page notices.
func (s *Server) servePage(c echo.Context) error {
	name := pageFile(c.Param("*"))
	info, err := fs.Stat(s.Page, name)
	switch {
	case err == nil && !info.IsDir():
	case strings.HasPrefix(name, "assets/"):
		return echo.ErrNotFound
	default:
		name = "index.html"
	}
	cache := "no-cache"
	if strings.HasPrefix(name, "assets/") {
		cache = "public, max-age=31536000, immutable" // their names carry a hash of their content
	}
	return serveStatic(c, s.Page, name, cache)
}

func (s *Server) serveFavicon(c echo.Context) error {
	return serveStatic(c, s.Page, "favicon.svg", "no-cache")
}

// serveStatic serves one embedded file; there is no directory to list.
func serveStatic(c echo.Context, files fs.FS, name, cache string) error {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return echo.ErrNotFound
	}
	header := c.Response().Header()
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", cache)
	http.ServeContent(c.Response(), c.Request(), name, time.Time{}, bytes.NewReader(content))
	return nil
}

// jobFilesPath is the URL path below which the files of a job are served, as Flamenco's clients know it.
func jobFilesPath(job scheduler.JobID) string {
	return "/job-files/" + jobFolder(job) + "/" + job.String()
}

func logPath(job scheduler.JobID, task scheduler.TaskID) string {
	return jobFilesPath(job) + "/task-" + task.String() + ".txt"
}

// jobFolder spreads jobs over folders by the first four digits of their ids.
func jobFolder(job scheduler.JobID) string { return "job-" + job.String()[:4] }

// jobFilesDir is where the manager keeps its own files of a job.
func (s *Server) jobFilesDir(job scheduler.JobID) string {
	return filepath.Join(s.JobFiles, jobFolder(job), job.String())
}

// serveJobFile serves the previews of a job, and the logs of its tasks, which are not files but look like some.
func (s *Server) serveJobFile(c echo.Context) error {
	parsed, err := uuid.Parse(c.Param("job"))
	job := scheduler.JobID{UUID: parsed}
	if err != nil || c.Param("prefix") != jobFolder(job) || c.Param("job") != job.String() {
		return echo.ErrNotFound
	}
	name := c.Param("file")
	if slices.Contains(previewNames(), name) {
		return s.servePreview(c, job, name)
	}
	text, isLog := strings.CutPrefix(strings.TrimSuffix(name, ".txt"), "task-")
	id, err := uuid.Parse(text)
	if task := (scheduler.TaskID{UUID: id}); isLog && err == nil && logPath(job, task) == c.Request().URL.Path {
		return s.serveLog(c, job, task)
	}
	return echo.ErrNotFound
}

func (s *Server) servePreview(c echo.Context, job scheduler.JobID, name string) error {
	file, err := os.Open(filepath.Join(s.jobFilesDir(job), name))
	if errors.Is(err, fs.ErrNotExist) {
		return echo.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("open preview of job %s: %w", job, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open preview of job %s: %w", job, err)
	}
	c.Response().Header().Set("Cache-Control", "no-cache")
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(c.Response(), c.Request(), name, info.ModTime(), file)
	return nil
}

// serveLog sends a whole log piece by piece.
func (s *Server) serveLog(c echo.Context, job scheduler.JobID, id scheduler.TaskID) error {
	ctx := c.Request().Context()
	task, err := s.Scheduler.Task(ctx, id)
	if err != nil {
		return err
	}
	if task.Job != job {
		return echo.ErrNotFound
	}
	c.Response().Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	c.Response().WriteHeader(http.StatusOK)
	return copyLog(ctx, s.Scheduler, c.Response(), id)
}

func copyLog(ctx context.Context, logs *scheduler.Scheduler, w http.ResponseWriter, id scheduler.TaskID) error {
	for from := int64(0); ; {
		piece, err := logs.Log(ctx, id, from, logTextSize)
		if err != nil {
			panic(http.ErrAbortHandler) // the status is out; a cut connection says that something is missing
		}
		if len(piece) == 0 {
			return nil
		}
		if _, err := w.Write(piece); err != nil {
			return fmt.Errorf("send the log of task %s: %w", id, err)
		}
		from += int64(len(piece))
	}
}
