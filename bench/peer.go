package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"hayloft/api/client"
)

// measurePeer measures another manager with the same client, if its address was given.
func measurePeer(ctx context.Context, b *bench) ([]Row, error) {
	if b.peer == "" {
		return nil, nil
	}
	blob := newContent(100, b.bigSize()).blob()
	took, err := send(ctx, http.DefaultClient, b.peer+filePath(blob), newContent(100, b.bigSize()))
	if err != nil {
		return nil, fmt.Errorf("upload a large file: %w", err)
	}
	rows := []Row{{Work: fmt.Sprintf("one file of %d MiB", b.bigSize()/miB), Figure: megabytes(b.bigSize(), took), Unit: "MB/s"}}
	blobs := b.smallBlobs()
	files, err := sendSmall(ctx, b.peer, blobs)
	if err != nil {
		return rows, err
	}
	rows = append(rows, Row{Work: fmt.Sprintf("%s files of 12 KiB, %d at a time", number(float64(len(blobs))), uploaders),
		Figure: files, Unit: "files/s"})
	dispatch, err := peerDispatch(ctx, b)
	return append(rows, dispatch...), err
}

func peerDispatch(ctx context.Context, b *bench) (rows []Row, err error) {
	const workers = 10
	c, err := client.New(b.peer, "bench")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	crew, err := hireCrew(ctx, b.peer, workers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, crew.stop()) }()
	for _, queued := range pick(b, []int{1_000}, []int{1_000, 10_000, 50_000}) {
		if _, err := c.SubmitJob(ctx, renderJob(queued)); err != nil {
			return rows, err
		}
		done, err := crew.work(queued, pick(b, 3.0, 10.0))
		if err != nil {
			return rows, err
		}
		name := fmt.Sprintf("%s queued, %d workers: ", number(float64(queued)), workers)
		rows = append(rows,
			Row{Work: name + "claimed and completed", Figure: rate(float64(done.Tasks), done.Took), Unit: "tasks/s"},
			Row{Work: name + "claim, p99", Figure: milliseconds(percentile(done.Claims, 99)), Unit: "ms"})
	}
	return rows, nil
}
