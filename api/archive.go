package api

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"

	"hayloft/api/gen"
	"hayloft/scheduler"
)

// archiveType is the media type of a zip.
const archiveType = "application/zip"

// archive is a zip of all that a job produced, made while it is sent: what is in memory is the list of outputs and one
// buffer. Outputs are stored, as images do not shrink; logs are deflated.
type archive struct {
	server  *Server
	ctx     context.Context
	job     scheduler.Job
	outputs map[scheduler.TaskID][]scheduler.Output
}

// GetJobArchive gives all outputs and logs of a job as one zip.
func (s *Server) GetJobArchive(ctx context.Context, r gen.GetJobArchiveRequestObject) (gen.GetJobArchiveResponseObject, error) {
	id := scheduler.JobID{UUID: r.JobId}
	job, err := s.Scheduler.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	outputs, err := s.Scheduler.Outputs(ctx, id)
	if err != nil {
		return nil, err
	}
	a := archive{server: s, ctx: ctx, job: job, outputs: make(map[scheduler.TaskID][]scheduler.Output)}
	for _, o := range outputs {
		a.outputs[o.Task] = append(a.outputs[o.Task], o)
	}
	return a, nil
}

// TaskFolder names the folder of a task in an archive, from its index in the job and its name. Every platform takes the name
// for a folder. The index keeps names apart, and in order.
func TaskFolder(index int, name string) string {
	return fmt.Sprintf("%04d-%s", index, archiveName(name))
}

// archiveName makes a name that every platform takes for a file or folder.
func archiveName(text string) string {
	const most = 80
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > most {
		clean = string(runes[:most])
	}
	if clean = strings.TrimRight(clean, " ."); clean == "" {
		return "job"
	}
	return clean
}

// VisitGetJobArchiveResponse sends the zip. An error after the first bytes breaks the connection, so that nobody takes half
// an archive for a whole one.
func (a archive) VisitGetJobArchiveResponse(w http.ResponseWriter) error {
	select {
	case a.server.reads <- struct{}{}:
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
	defer func() { <-a.server.reads }()
	header := w.Header()
	header.Set("Content-Type", archiveType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": archiveName(a.job.Name) + ".zip"}))
	err := steadily(w, func(w http.ResponseWriter) error { return a.write(w) })
	if err != nil {
		a.server.log.Info("archive of a job was cut off", "job", a.job.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (a archive) write(w io.Writer) error {
	to := zip.NewWriter(w)
	var missing []string
	for after := 0; ; {
		tasks, err := a.server.Scheduler.Tasks(a.ctx, a.job.ID, after, listPage)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			gone, err := a.writeTask(to, t)
			if err != nil {
				return err
			}
			missing, after = append(missing, gone...), t.Index
		}
		if len(tasks) < listPage {
			break
		}
	}
	if len(missing) > 0 {
		if err := writeText(to, "missing.txt", a.server.Now(), strings.Join(missing, "\n")+"\n"); err != nil {
			return err
		}
	}
	return to.Close()
}

// writeTask adds the outputs and the log of one task, and gives the outputs that could not be read.
func (a archive) writeTask(to *zip.Writer, t scheduler.Task) (missing []string, err error) {
	folder, outputs := TaskFolder(t.Index, t.Name), a.outputs[t.ID]
	taken := make(map[string]bool, len(outputs))
	for _, o := range outputs {
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		name := archivePath(o.Path)
		// Outputs of two roots can have one path.
		for n := 2; taken[name]; n++ {
			name = path.Join(fmt.Sprintf("%d", n), archivePath(o.Path))
		}
		taken[name] = true
		there, err := a.writeOutput(to, path.Join(folder, name), o)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, path.Join(folder, name))
		}
	}
	return missing, a.writeLog(to, path.Join(folder, "log.txt"), t)
}

// archivePath is a registered path as it may stand in an archive: it leads nowhere else.
func archivePath(registered string) string {
	parts := strings.Split(path.Clean("/" + strings.ReplaceAll(registered, `\`, "/"))[1:], "/")
	for i, part := range parts {
		parts[i] = archiveName(part)
	}
	return path.Join(parts...)
}

func (a archive) writeOutput(to *zip.Writer, name string, o scheduler.Output) (there bool, err error) {
	file, info, err := a.server.openOutput(o)
	if errors.Is(err, scheduler.ErrNotFound) || errors.Is(err, errInvalid) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	entry, err := to.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: info.ModTime()})
	if err != nil {
		return false, err
	}
	if _, err := io.Copy(entry, file); err != nil {
		return false, fmt.Errorf("add %s to the archive: %w", name, err)
	}
	return true, nil
}

// writeLog adds a log in pieces, however long it is. A task without one has none in the archive.
func (a archive) writeLog(to *zip.Writer, name string, t scheduler.Task) error {
	var entry io.Writer
	for from := int64(0); ; {
		text, err := a.server.Scheduler.Log(a.ctx, t.ID, from, logTextSize)
		if err != nil || len(text) == 0 {
			return err
		}
		if entry == nil {
			entry, err = to.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: t.Updated})
			if err != nil {
				return err
			}
		}
		if _, err := entry.Write(text); err != nil {
			return err
		}
		from += int64(len(text))
	}
}

func writeText(to *zip.Writer, name string, modified time.Time, text string) error {
	entry, err := to.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: modified})
	if err != nil {
		return err
	}
	_, err = io.WriteString(entry, text)
	return err
}
