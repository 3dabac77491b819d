package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hayloft/cas"
)

const (
	uploaders = 16       // parallel clients of small files
	smallSize = 12 * kiB // of one of them
)

const (
	aimBigUpload   = 0.9 // of what HTTP, SHA-256 and disk allow
	uploadRepeats  = 3   // of the large file, in turns with the plain server, since no disk is as fast as a minute before
	smallSeedStart = 1 << 32
)

// filePath is where a file is uploaded to.
func filePath(blob cas.Blob) string {
	return fmt.Sprintf("/api/v3/shaman/files/%s/%d", blob.Digest, blob.Size)
}

// measureUpload sends one large and many small files to a manager and, in turns, to the plain server, which also hashes
// them and makes them durable.
func measureUpload(ctx context.Context, b *bench) ([]Row, error) {
	return b.withPlain(ctx, func(plain string) ([]Row, error) {
		return b.withManager(ctx, "upload", func(m *runningManager) ([]Row, error) {
			var rows []Row
			err := m.profiled("upload-large", func() (err error) {
				rows, err = uploadLarge(ctx, b, m.url, plain)
				return err
			})
			if err != nil {
				return rows, err
			}
			return rows, m.profiled("upload-small", func() error {
				small, err := uploadSmall(ctx, b, m.url, plain)
				rows = append(rows, small...)
				return err
			})
		})
	})
}

func uploadLarge(ctx context.Context, b *bench, manager, plain string) ([]Row, error) {
	speeds := map[string][]float64{}
	for i := range uploadRepeats {
		seed := uint64(100 + i)
		blob := newContent(seed, b.bigSize()).blob()
		for _, server := range []string{plain, manager} {
			took, err := send(ctx, http.DefaultClient, server+filePath(blob), newContent(seed, b.bigSize()))
			if err != nil {
				return nil, fmt.Errorf("upload a large file: %w", err)
			}
			speeds[server] = append(speeds[server], megabytes(b.bigSize(), took))
		}
	}
	return []Row{Row{Work: fmt.Sprintf("one file of %d MiB, best of %d", b.bigSize()/miB, uploadRepeats),
		Figure: slices.Max(speeds[manager]), Unit: "MB/s"}.
		against("HTTP, SHA-256 and disk", slices.Max(speeds[plain])).aim(ratioAtLeast(aimBigUpload))}, nil
}

func uploadSmall(ctx context.Context, b *bench, manager, plain string) ([]Row, error) {
	blobs := b.smallBlobs()
	alone, err := sendSmall(ctx, plain, blobs)
	if err != nil {
		return nil, err
	}
	ours, err := sendSmall(ctx, manager, blobs)
	if err != nil {
		return nil, err
	}
	disk, err := b.smallFileLimit(ctx, uploaders)
	if err != nil {
		return nil, err
	}
	work := fmt.Sprintf("%s files of 12 KiB, %d at a time, each durable", number(float64(len(blobs))), uploaders)
	row := Row{Work: work, Figure: ours, Unit: "files/s"}
	return []Row{row.against("HTTP, SHA-256 and disk", alone), row.against("disk without HTTP", disk)}, nil
}

// smallBlobs names the small files; the content of each is newContent(smallSeedStart + its position).
func (b *bench) smallBlobs() []cas.Blob {
	blobs := make([]cas.Blob, pick(b, 2_000, 10_000))
	for i := range blobs {
		blobs[i] = newContent(smallSeedStart+uint64(i), smallSize).blob()
	}
	return blobs
}

// sendSmall uploads all files with the parallel clients: files/s.
func sendSmall(ctx context.Context, url string, blobs []cas.Blob) (float64, error) {
	connections := newWideClient(uploaders)
	defer connections.CloseIdleConnections()
	var next atomic.Int64
	started := time.Now()
	all, ctx := errgroup.WithContext(ctx)
	for range uploaders {
		all.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(blobs)); i = next.Add(1) - 1 {
				if _, err := send(ctx, connections, url+filePath(blobs[i]), newContent(smallSeedStart+uint64(i), smallSize)); err != nil {
					return fmt.Errorf("upload a small file: %w", err)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	return rate(float64(len(blobs)), time.Since(started)), nil
}
