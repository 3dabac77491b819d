package api

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"hayloft/api/gen"
	"hayloft/api/tasklog"
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

// archiveName makes a short name that every platform takes for a file or folder.
func archiveName(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	if text = portable(text); text == "" {
		return "job"
	}
	return text
}

// portable replaces what some platform does not take in the name of a file.
func portable(text string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, text)
	return strings.TrimRight(clean, " .")
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

// writeTask adds the outputs and the logs of one task, and gives the outputs that could not be read.
func (a archive) writeTask(to *zip.Writer, t scheduler.Task) (missing []string, err error) {
	folder, outputs := TaskFolder(t.Index, t.Name), a.outputs[t.ID]
	paths := make([]string, len(outputs))
	for i, o := range outputs {
		paths[i] = o.Path
	}
	for i, name := range OutputNames(paths, tasklog.FileNames...) {
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		there, err := a.writeOutput(to, path.Join(folder, name), outputs[i])
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, path.Join(folder, name))
		}
	}
	return missing, a.writeLogs(to, folder, t)
}

// OutputNames places outputs, given by their registered paths, in one folder. No name leads out of it or is one of those that
// are taken, and each is there once, on file systems too to which capital letters are the same as small ones.
func OutputNames(registered []string, taken ...string) []string {
	there := make(map[string]bool, len(registered)+len(taken))
	for _, name := range taken {
		there[strings.ToLower(name)] = true
	}
	names := make([]string, len(registered))
	for i, output := range registered {
		plain := archivePath(output)
		name := plain
		// Outputs of two roots can have one path.
		for n := 2; there[strings.ToLower(name)]; n++ {
			name = path.Join(strconv.Itoa(n), plain)
		}
		names[i], there[strings.ToLower(name)] = name, true
	}
	return names
}

// archivePath is a registered path as it may stand in an archive: it leads nowhere else.
func archivePath(registered string) string {
	parts := strings.Split(path.Clean("/" + strings.ReplaceAll(registered, `\`, "/"))[1:], "/")
	for i, part := range parts {
		if parts[i] = portable(part); parts[i] == "" {
			parts[i] = "_"
		}
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

// writeLogs adds a task's log, and what its processes wrote to each stream, however much that is. A zip takes one file after
// the other, so that the log is read once for each, as far as it went the first time.
func (a archive) writeLogs(to *zip.Writer, folder string, t scheduler.Task) error {
	entry := func(name string) (io.Writer, error) {
		return to.CreateHeader(&zip.FileHeader{Name: path.Join(folder, name), Method: zip.Deflate, Modified: t.Updated})
	}
	whole, err := entry(tasklog.FileName)
	if err != nil {
		return err
	}
	size, err := a.copyLog(whole, t.ID, math.MaxInt64)
	if err != nil {
		return err
	}
	for _, name := range []string{tasklog.StdoutName, tasklog.StderrName} {
		stream, err := entry(name)
		if err != nil {
			return err
		}
		split := tasklog.NewSplitter(stream, io.Discard)
		if name == tasklog.StderrName {
			split = tasklog.NewSplitter(io.Discard, stream)
		}
		if _, err := a.copyLog(split, t.ID, size); err != nil {
			return err
		}
		if err := split.Close(); err != nil {
			return err
		}
	}
	return nil
}

// copyLog writes the first bytes of a log, at most limit, and gives their number.
func (a archive) copyLog(to io.Writer, id scheduler.TaskID, limit int64) (size int64, err error) {
	for size < limit {
		text, err := a.server.Scheduler.Log(a.ctx, id, size, int(min(logTextSize, limit-size)))
		if err != nil || len(text) == 0 {
			return size, err
		}
		if _, err := to.Write(text); err != nil {
			return size, err
		}
		size += int64(len(text))
	}
	return size, nil
}

func writeText(to *zip.Writer, name string, modified time.Time, text string) error {
	entry, err := to.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: modified})
	if err != nil {
		return err
	}
	_, err = io.WriteString(entry, text)
	return err
}
