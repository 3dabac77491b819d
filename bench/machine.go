package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// measureMachine measures what the machine can do without anything of ours.
func measureMachine(ctx context.Context, b *bench) ([]Row, error) {
	var rows []Row
	for _, measure := range []func(context.Context, *bench) ([]Row, error){
		hashLimit, diskLimit, syncLimits, httpLimits, requestLimit, databaseLimits,
	} {
		more, err := measure(ctx, b)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// each calls do until the time of one small measurement is over, and gives the calls a second.
func (b *bench) each(ctx context.Context, do func() error) (float64, error) {
	const mostCalls = 10_000_000
	started, lasts := time.Now(), pick(b, 500*time.Millisecond, 2*time.Second)
	for n := 1; ; n++ {
		if err := errors.Join(do(), ctx.Err()); err != nil {
			return 0, err
		}
		if took := time.Since(started); took >= lasts || n == mostCalls {
			return rate(float64(n), took), nil
		}
	}
}

func hashLimit(ctx context.Context, b *bench) ([]Row, error) {
	block := make([]byte, 4*miB)
	blocks, err := b.each(ctx, func() error {
		sha256.Sum256(block)
		return nil
	})
	return []Row{{Work: "SHA-256, one goroutine", Figure: blocks * float64(len(block)) / 1e6, Unit: "MB/s"}}, err
}

// bigSize is the number of bytes of one large file.
func (b *bench) bigSize() int64 { return pick[int64](b, 128*miB, 1024*miB) }

func diskLimit(_ context.Context, b *bench) ([]Row, error) {
	dir, err := b.folder("disk")
	if err != nil {
		return nil, err
	}
	name, started := filepath.Join(dir, "big"), time.Now()
	if err := writeDurably(name, newContent(1, b.bigSize())); err != nil {
		return nil, err
	}
	took := time.Since(started)
	return []Row{{Work: "one large file, written and synced", Figure: megabytes(b.bigSize(), took), Unit: "MB/s"}}, os.RemoveAll(dir)
}

// syncLimits measures appends with an fsync each, and whole small files that are made durable one by one.
func syncLimits(ctx context.Context, b *bench) ([]Row, error) {
	var rows []Row
	for _, parallel := range []int{1, uploaders} {
		appends, err := b.inParallel(ctx, parallel, func(dir string) (func() error, error) {
			file, err := os.Create(filepath.Join(dir, "log"))
			if err != nil {
				return nil, err
			}
			page := make([]byte, 4*kiB)
			return func() error {
				_, err := file.Write(page)
				return errors.Join(err, file.Sync())
			}, nil
		})
		if err != nil {
			return rows, err
		}
		files, err := b.smallFileLimit(ctx, parallel)
		if err != nil {
			return rows, err
		}
		rows = append(rows,
			Row{Work: fmt.Sprintf("4 KiB appended and synced, %d at a time", parallel), Figure: appends, Unit: "syncs/s"},
			Row{Work: fmt.Sprintf("12 KiB file made, synced and renamed, %d at a time", parallel), Figure: files, Unit: "files/s"})
	}
	return rows, nil
}

// smallFileLimit makes files of smallSize durable, each under a temporary name first: files/s.
func (b *bench) smallFileLimit(ctx context.Context, parallel int) (float64, error) {
	content := make([]byte, smallSize)
	return b.inParallel(ctx, parallel, func(dir string) (func() error, error) {
		n := 0
		return func() error {
			n++
			name := filepath.Join(dir, fmt.Sprint(n))
			if err := writeDurably(name+".part", bytes.NewReader(content)); err != nil {
				return err
			}
			return os.Rename(name+".part", name)
		}, nil
	})
}

// inParallel runs several loops, each in a folder of its own, and gives the calls of all a second.
func (b *bench) inParallel(ctx context.Context, parallel int, open func(dir string) (func() error, error)) (float64, error) {
	dir, err := b.folder("parallel")
	if err != nil {
		return 0, err
	}
	rates := make([]float64, parallel)
	all, ctx := errgroup.WithContext(ctx)
	for i := range rates {
		own := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(own, 0o777); err != nil {
			return 0, err
		}
		do, err := open(own)
		if err != nil {
			return 0, err
		}
		all.Go(func() (err error) {
			rates[i], err = b.each(ctx, do)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum, os.RemoveAll(dir)
}

// httpLimits sends one large body to the plain server, which drops it, keeps it, or checks and keeps it.
func httpLimits(ctx context.Context, b *bench) (rows []Row, err error) {
	return b.withPlain(ctx, func(url string) ([]Row, error) {
		blob := newContent(2, b.bigSize()).blob()
		for _, way := range []struct{ work, path string }{
			{"HTTP, body dropped", "/discard"},
			{"HTTP to disk, synced", "/disk"},
			{"HTTP, SHA-256 and disk, synced", filePath(blob)},
		} {
			took, err := send(ctx, http.DefaultClient, url+way.path, newContent(2, b.bigSize()))
			if err != nil {
				return rows, err
			}
			rows = append(rows, Row{Work: way.work, Figure: megabytes(b.bigSize(), took), Unit: "MB/s"})
		}
		return rows, nil
	})
}

// withPlain runs a measurement against a plain server with a folder of its own.
func (b *bench) withPlain(ctx context.Context, measure func(url string) ([]Row, error)) ([]Row, error) {
	dir, err := b.folder("plain")
	if err != nil {
		return nil, err
	}
	plain, url, err := b.startPlain(ctx, dir)
	if err != nil {
		return nil, err
	}
	rows, err := measure(url)
	return rows, errors.Join(err, plain.stop(), os.RemoveAll(dir))
}

// requestLimit measures requests that ask for nothing and answer nothing, over 16 connections.
func requestLimit(ctx context.Context, b *bench) ([]Row, error) {
	return b.withPlain(ctx, func(url string) ([]Row, error) {
		connections := newWideClient(uploaders)
		defer connections.CloseIdleConnections()
		requests, err := b.inParallel(ctx, uploaders, func(string) (func() error, error) {
			return func() error {
				_, err := send(ctx, connections, url+"/discard", http.NoBody)
				return err
			}, nil
		})
		return []Row{{Work: fmt.Sprintf("small HTTP requests, %d connections", uploaders), Figure: requests, Unit: "requests/s"}}, err
	})
}

// send posts a body and waits for an answer of success.
func send(ctx context.Context, connections *http.Client, url string, body io.Reader) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return 0, err
	}
	if sized, ok := body.(*content); ok {
		request.ContentLength = sized.left
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	started := time.Now()
	response, err := connections.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, miB))
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s: %.200s", response.Status, text)
	}
	return time.Since(started), err
}

// databaseLimits measures SQLite with the manager's durability: each commit is on stable storage.
func databaseLimits(ctx context.Context, b *bench) (rows []Row, err error) {
	dir, err := b.folder("sqlite")
	if err != nil {
		return nil, err
	}
	// Package scheduler/store, which this program links, brings the driver.
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(dir, "plain.sqlite"))+
		"?_pragma=journal_mode(wal)&_pragma=synchronous(2)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close(), os.RemoveAll(dir)) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE tasks (id INTEGER PRIMARY KEY, status TEXT NOT NULL);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO tasks SELECT i, 'queued' FROM n`); err != nil {
		return nil, err
	}
	for _, batch := range []int{1, 100} {
		commits, err := b.each(ctx, func() error { return updateRows(ctx, db, batch) })
		if err != nil {
			return rows, err
		}
		rows = append(rows, Row{Work: fmt.Sprintf("SQLite, one-row updates, %d in each synced commit", batch),
			Figure: commits * float64(batch), Unit: "rows/s"})
	}
	return rows, nil
}

func updateRows(ctx context.Context, db *sql.DB, rows int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	update, err := tx.PrepareContext(ctx, `UPDATE tasks SET status = iif(status = 'queued', 'active', 'queued') WHERE id = ?`)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	defer update.Close() //nolint:errcheck // Its work is done or undone by then.
	for i := range rows {
		if _, err := update.ExecContext(ctx, 1+i*97%10_000); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
