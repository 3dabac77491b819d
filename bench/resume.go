package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hayloft/cas"
)

// aimAgain is the share of the bytes that may be sent again, in %.
const aimAgain = 1

// mostTries bounds how often a client that gives up is started again.
const mostTries = 5

// breakdown is something that ends a transfer half-way.
type breakdown struct {
	name string
	do   func(context.Context, *farm, *running) error
}

// breakdowns: the client and the manager die without a word; the network drops all connections.
var breakdowns = []breakdown{
	{"client killed", func(_ context.Context, _ *farm, client *running) error { return client.cmd.Process.Kill() }},
	{"manager killed", func(ctx context.Context, f *farm, _ *running) error { return errors.Join(f.kill(), f.start(ctx)) }},
	{"network cut", func(_ context.Context, f *farm, _ *running) error {
		f.relay.cut()
		return nil
	}},
}

// measureResume sends one large file and some small ones, undisturbed and with each breakdown once half the bytes are
// through, and compares what was sent in all.
func measureResume(ctx context.Context, b *bench) (rows []Row, err error) {
	dir, err := b.folder("resume")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tree := filepath.Join(dir, "tree")
	size := pick[int64](b, 128*miB, 1024*miB)
	if err := writeMadeUp(tree, "large.bin", texture, size); err != nil {
		return nil, err
	}
	for i := range 500 {
		if err := writeMadeUp(tree, fmt.Sprintf("small/%03d.bin", i), texture, smallSize); err != nil {
			return nil, err
		}
	}
	k, err := b.farmKeeper(ctx, tree)
	if err != nil {
		return nil, err
	}
	undisturbed, err := k.keep(ctx, "undisturbed")
	if err := errors.Join(err, k.close()); err != nil {
		return nil, err
	}
	b.note(undisturbed)
	for _, broken := range breakdowns {
		sent, tries, err := b.interrupted(ctx, tree, undisturbed.Sent/2, broken)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", broken.name, err)
		}
		again := 100 * float64(sent-undisturbed.Sent) / float64(undisturbed.Sent)
		rows = append(rows, Row{Work: fmt.Sprintf("%d MiB, %s at 50 %%, client started %d times: sent again", size/miB, broken.name, tries),
			Figure: max(0, again), Unit: "%"}.aim(atMost(aimAgain)))
	}
	return rows, nil
}

// interrupted sends the tree to a new manager, breaks something once so many bytes are through, and starts the client
// again until it succeeds. It gives the bytes of all tries.
func (b *bench) interrupted(ctx context.Context, tree string, half int64, broken breakdown) (sent int64, tries int, err error) {
	k, err := b.farmKeeper(ctx, tree)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	half += k.farm.relay.count().sent
	reached := k.farm.relay.after(half)
	client, err := start(ctx, k.env, k.store...)
	if err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := client.wait()
		ended <- err
	}()
	select {
	case <-reached:
	case err := <-ended:
		return 0, 1, errors.Join(errors.New("the client ended before half of the bytes were through"), err)
	}
	broke := broken.do(ctx, k.farm, client)
	failed := <-ended
	if broke != nil {
		return 0, 1, broke
	}
	for tries = 1; failed != nil; tries++ {
		if tries == mostTries || ctx.Err() != nil {
			return 0, tries, failed
		}
		_, _, failed = runProgram(ctx, k.env, k.store...)
	}
	return k.farm.relay.count().sent, tries, k.complete(ctx)
}

// complete reads the tree back and compares it with what was sent.
func (k *keeper) complete(ctx context.Context) error {
	into := filepath.Join(k.dir, "restored")
	command, err := k.restore(nil, into)
	if err != nil {
		return err
	}
	if _, _, err := runProgram(ctx, k.env, command...); err != nil {
		return err
	}
	tree := k.store[2]
	for _, name := range []string{"large.bin", "small/000.bin", "small/499.bin"} {
		want, err := sumFile(filepath.Join(tree, name))
		if err != nil {
			return err
		}
		if got, err := sumFile(filepath.Join(into, name)); err != nil || got != want {
			return errors.Join(fmt.Errorf("%s came back as %v, not as %v", name, got, want), err)
		}
	}
	return removeAll(into)
}

func sumFile(name string) (cas.Blob, error) {
	file, err := os.Open(name)
	if err != nil {
		return cas.Blob{}, err
	}
	defer file.Close()
	return cas.SumReader(file)
}
