package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/cas"
)

const (
	fetchAttempts   = 6 // in a row that bring nothing new
	firstFetchPause = 200 * time.Millisecond
	lastFetchPause  = 5 * time.Second
)

// errChanged: the farm has other bytes than it lists.
var errChanged = errors.New("the file was changed since it was rendered; requeue its task to render it again")

// outputFetch brings one output to its place, whole or not at all. What came of it is kept beside that place, so that a
// later run goes on there.
type outputFetch struct {
	client *client.Client
	job    uuid.UUID
	output wire.JobOutput
	final  string
	came   func(n int) // told of bytes
}

// run gives whether anything was fetched: a file that is there and right is left alone.
func (f outputFetch) run(ctx context.Context) (fetched bool, err error) {
	if f.there() {
		f.came(int(f.output.Size))
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(f.final), 0o755); err != nil {
		return false, err
	}
	partial := filepath.Join(filepath.Dir(f.final), ".fetching-"+f.output.Sha256[:32])
	file, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return false, err
	}
	if err := errors.Join(f.fill(ctx, file), file.Close()); err != nil {
		if ofOneOutput(err) {
			err = errors.Join(err, os.Remove(partial))
		}
		return false, err
	}
	// Somebody who fetches the same output to the same place may have been faster.
	if err := os.Rename(partial, f.final); err != nil && !f.there() {
		return false, err
	}
	return true, nil
}

func (f outputFetch) there() bool {
	info, err := os.Stat(f.final)
	if err != nil || info.Size() != f.output.Size {
		return false
	}
	sum, err := digestOf(f.final)
	return err == nil && sum.String() == f.output.Sha256
}

// fill completes the partial file and checks it.
func (f outputFetch) fill(ctx context.Context, file *os.File) error {
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > f.output.Size {
		have = 0
		if err := errors.Join(file.Truncate(0), seekTo(file, 0)); err != nil {
			return err
		}
	}
	f.came(int(have))
	pause := firstFetchPause
	for failures := 0; have < f.output.Size; {
		n, err := f.more(ctx, file, have)
		have += n
		if err == nil {
			break // what is short is changed
		}
		if failures++; n > 0 {
			failures, pause = 0, firstFetchPause
		}
		if ctx.Err() != nil || failures >= fetchAttempts || !errors.Is(err, client.ErrUnreachable) && !errors.Is(err, client.ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, lastFetchPause)
	}
	if err := seekTo(file, 0); err != nil {
		return err
	}
	got, err := cas.SumReader(file)
	if err == nil && got.Digest.String() != f.output.Sha256 {
		err = errChanged
	}
	return err
}

// more asks for what comes from an offset on, where the file stands, and gives how much came.
func (f outputFetch) more(ctx context.Context, file *os.File, offset int64) (int64, error) {
	from, err := f.client.OutputFrom(ctx, f.job, f.output, offset)
	if err != nil {
		return 0, err
	}
	defer from.Close() //nolint:errcheck // It was only read.
	n, err := io.Copy(file, io.TeeReader(io.LimitReader(from, f.output.Size-offset+1), tellBytes(f.came)))
	return n, err
}

// tellBytes counts what is written to it.
type tellBytes func(n int)

func (t tellBytes) Write(p []byte) (int, error) {
	t(len(p))
	return len(p), nil
}

func seekTo(file *os.File, offset int64) error {
	_, err := file.Seek(offset, io.SeekStart)
	return err
}

func digestOf(path string) (cas.Digest, error) {
	file, err := os.Open(path)
	if err != nil {
		return cas.Digest{}, err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	blob, err := cas.SumReader(file)
	return blob.Digest, err
}

// ofOneOutput tells errors that say nothing of other outputs.
func ofOneOutput(err error) bool {
	return errors.Is(err, errChanged) || errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrInvalid)
}
