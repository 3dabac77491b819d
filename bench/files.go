package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hayloft/cas"
	"hayloft/checkout"
)

const (
	aimSmallFiles = 10_000 // files/s
	aimQuestion   = 100    // ms for the question and the answer over 10,000 files
	questionLimit = 10_000 // ids of one request
)

// smallTree is a folder of many files of the same size, in folders of filesPerFolder.
type smallTree struct {
	dir      string
	manifest checkout.Manifest
	blobs    []cas.Blob
}

// measureFiles keeps many small files, asks for them again, and brings still more of them back.
func measureFiles(ctx context.Context, b *bench) ([]Row, error) {
	rows, failed := measureSmallFiles(ctx, b)
	more, err := measureManyBack(ctx, b)
	return append(rows, more...), errors.Join(failed, err)
}

func measureSmallFiles(ctx context.Context, b *bench) (rows []Row, err error) {
	dir, err := b.folder("files")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tree, err := makeSmallTree(filepath.Join(dir, "tree"), pick(b, 2_000, 10_000), smallSize)
	if err != nil {
		return nil, err
	}
	limit, err := hashAndDisk(ctx, tree.dir, filepath.Join(dir, "limit"))
	if err != nil {
		return nil, err
	}
	each, err := b.smallFileLimit(ctx, uploaders)
	if err != nil {
		return nil, err
	}
	speeds := Chart{Name: "files-durable", Title: "Small files made durable", Unit: "files/s", Log: true, Bars: []Bar{
		{"a file and a sync each", each, false}, {"all in one file", rate(float64(len(tree.blobs)), limit), false}}}
	defer func() { b.plot(speeds) }()
	for _, open := range []func(context.Context, string) (*keeper, error){b.ourKeeper, b.farmKeeper} {
		k, err := open(ctx, tree.dir)
		if err != nil {
			return rows, err
		}
		more, err := tree.keepTwice(ctx, b, k, limit)
		rows = append(rows, more...)
		if len(more) > 0 {
			speeds.Bars = append(speeds.Bars, Bar{k.name, more[0].Figure, true})
		}
		if err == nil && k.farm != nil {
			more, err = tree.question(ctx, k.farm.url)
			rows = append(rows, more...)
		}
		if err := errors.Join(err, k.close()); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// makeSmallTree writes the tree; each file has content of its own.
func makeSmallTree(dir string, files int, size int64) (*smallTree, error) {
	t := &smallTree{dir: dir, blobs: make([]cas.Blob, files)}
	for i := range t.blobs {
		got, err := cas.SumReader(newMadeUp(smallName(i), texture, size))
		if err != nil {
			return nil, err
		}
		t.blobs[i] = got
	}
	var err error
	if t.manifest, err = wideTree(t.blobs, files); err != nil {
		return nil, err
	}
	i := 0
	for e := range t.manifest.Entries() {
		path := filepath.Join(dir, filepath.FromSlash(e.Path.String()))
		if i%filesPerFolder == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return nil, err
			}
		}
		content, err := io.ReadAll(newMadeUp(smallName(i), texture, size))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			return nil, err
		}
		i++
	}
	return t, nil
}

// smallName names the content of one file of a small tree.
func smallName(i int) string { return fmt.Sprint("small ", i) }

// keepTwice stores the tree, and then stores it unchanged.
func (t *smallTree) keepTwice(ctx context.Context, b *bench, k *keeper, limit time.Duration) ([]Row, error) {
	name := fmt.Sprintf("%s files of 12 KiB, %s: ", number(float64(len(t.blobs))), k.name)
	first, err := k.keep(ctx, name+firstWork)
	if err != nil {
		return nil, err
	}
	b.note(first)
	again, err := k.keep(ctx, name+unchangedWork)
	if err != nil {
		return nil, err
	}
	b.note(again)
	return []Row{
		Row{Work: name + firstWork + ", durable", Figure: float64(len(t.blobs)) / first.Seconds, Unit: "files/s"}.
			against("read, SHA-256, written, synced once", rate(float64(len(t.blobs)), limit)).aim(atLeast(aimSmallFiles)),
		{Work: name + unchangedWork, Figure: 1000 * again.Seconds, Unit: "ms"},
		{Work: name + unchangedWork + ", processor time", Figure: again.CPU + again.ManagerCPU, Unit: "s"},
	}, nil
}

// question asks a manager which of the tree's files it lacks, as its clients do, and wants to hear: none.
func (t *smallTree) question(ctx context.Context, url string) ([]Row, error) {
	const repeats = 5
	asked := t.blobs[:min(len(t.blobs), questionLimit)]
	var body []byte
	for _, blob := range asked {
		sum, err := hex.DecodeString(blob.Digest.String())
		if err != nil {
			return nil, err
		}
		body = binary.BigEndian.AppendUint64(append(body, sum...), uint64(blob.Size))
	}
	var times []time.Duration
	for range repeats {
		started := time.Now()
		lacking, err := askLacking(ctx, url, body)
		if err != nil {
			return nil, fmt.Errorf("ask what the manager lacks: %w", err)
		}
		times = append(times, time.Since(started))
		if lacking != 0 {
			return nil, fmt.Errorf("the manager lacks %d of %d files that it was sent", lacking, len(asked))
		}
	}
	return []Row{Row{Work: fmt.Sprintf("question and answer over %s files, worst of %d", number(float64(len(asked))), repeats),
		Figure: milliseconds(percentile(times, 100)), Unit: "ms"}.aim(atMost(aimQuestion))}, nil
}

// askLacking gives how many bits of the answer are set.
func askLacking(ctx context.Context, url string, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v3/cas/lacking", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, miB))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, answer)
	}
	lacking := 0
	for _, eight := range answer {
		lacking += bits.OnesCount8(eight)
	}
	return lacking, err
}

// measureManyBack brings a tree of 50,000 files back with `cas checkout`, in turns with a plain loop that makes as many
// symlinks into folders that are open and there already.
func measureManyBack(ctx context.Context, b *bench) (rows []Row, err error) {
	const size = 2 * kiB
	dir, err := b.folder("back")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files := pick(b, 5_000, 50_000)
	tree, err := makeSmallTree(filepath.Join(dir, "tree"), files, size)
	if err != nil {
		return nil, err
	}
	k, err := b.ourKeeper(ctx, tree.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	if _, err := k.keep(ctx, firstWork); err != nil {
		return nil, err
	}
	copying := k.restore
	copied, err := k.bringBack(ctx, fmt.Sprintf("%s files, checkout as copies", number(float64(files))))
	if err != nil {
		return rows, err
	}
	b.note(copied)
	k.restore = func(stored []byte, into string) ([]string, error) {
		command, err := copying(stored, into)
		return append(command, "--link", "symlink"), err
	}
	place := func(d cas.Digest) string { return filepath.Join(k.place, "objects", d.String()[:2], d.String()) }
	var ours, plain []float64
	for i := range pick(b, 3, 4) {
		run, err := k.bringBack(ctx, fmt.Sprintf("%s files, checkout %d as links", number(float64(files)), i+1))
		if err != nil {
			return rows, err
		}
		b.note(run)
		ours = append(ours, float64(files)/run.Seconds)
		links := filepath.Join(dir, fmt.Sprint("links-", i))
		took, err := plainLinks(links, tree.manifest, place)
		if err != nil {
			return rows, err
		}
		plain = append(plain, rate(float64(files), took))
	}
	name := fmt.Sprintf("%s files, cas checkout from file://, ", number(float64(files)))
	return []Row{
		{Work: name + "as copies", Figure: float64(files) / copied.Seconds, Unit: "files/s"},
		Row{Work: name + "as links, the first one", Figure: ours[0], Unit: "files/s"}.against("plain links", slices.Max(plain)),
		Row{Work: name + "as links, best of those after it", Figure: slices.Max(ours[1:]), Unit: "files/s"}.
			against("plain links", slices.Max(plain)).aim(ratioAtLeast(aimCheckout)),
	}, nil
}
