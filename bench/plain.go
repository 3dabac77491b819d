package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// plainServer answers the same requests as a manager with the least that an answer takes: no decision, no database, no
// check of who asks. It shows what HTTP, hash and disk allow to any manager.
type plainServer struct {
	dir   string
	files atomic.Int64
	task  []byte
}

// servePlain is the plain server's process.
func servePlain(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("the plain server needs one folder")
	}
	listener, err := listenLoopback(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return serveUntil(ctx, listener, newPlainServer(args[0])) })
	work.Go(func() error {
		defer stop()
		return answerQuestions(os.Stdin, os.Stdout, func(managerQuestion) (any, error) {
			return "http://" + listener.Addr().String(), nil
		})
	})
	return work.Wait()
}

func newPlainServer(dir string) http.Handler {
	p := &plainServer{dir: dir, task: fmt.Appendf(nil, `{"uuid":%q,"job":%q,"name":"render-1","status":"active","priority":50,`+
		`"job_priority":50,"job_type":"plain","task_type":"blender","steps_completed":0,"steps_total":1,"claim":1,"commands":`+
		`[{"name":"blender-render","parameters":{"args":["%0600d"]}}]}`, uuid.NewString(), uuid.NewString(), 7)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /discard", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /disk", func(w http.ResponseWriter, r *http.Request) { p.keep(w, r.Body, nil) })
	mux.HandleFunc("POST /api/v3/shaman/files/{sha}/{size}", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		p.keep(w, io.TeeReader(r.Body, sum), func() bool { return hex.EncodeToString(sum.Sum(nil)) == r.PathValue("sha") })
	})
	mux.HandleFunc("POST /api/v3/worker/register-worker", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"uuid":%q}`, uuid.NewString())
	})
	mux.HandleFunc("POST /api/v3/worker/task", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(p.task)
	})
	mux.HandleFunc("/api/v3/worker/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// keep writes a body to a file and forces it to stable storage.
func (p *plainServer) keep(w http.ResponseWriter, body io.Reader, right func() bool) {
	name := filepath.Join(p.dir, strconv.FormatInt(p.files.Add(1), 10))
	err := writeDurably(name, body)
	if err == nil && right != nil && !right() {
		err = errors.New("the digest is another one")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// writeSize is how many bytes one system call writes, in limits and in the plain server alike.
const writeSize = 256 * kiB

func writeDurably(name string, body io.Reader) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(struct{ io.Writer }{file}, writeSize)
	_, err = io.Copy(out, struct{ io.Reader }{body})
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// startPlain starts a plain server and gives its address.
func (b *bench) startPlain(ctx context.Context, dir string) (c *child, url string, err error) {
	if c, err = startChild(ctx, "role:plain", dir); err != nil {
		return nil, "", err
	}
	if err := c.ask(managerQuestion{Do: "address"}, &url); err != nil {
		return nil, "", errors.Join(err, c.stop())
	}
	return c, url, nil
}
