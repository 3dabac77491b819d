package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// keeper is a program that keeps a folder and brings it back: ours, or a peer. Each has a folder of its own for all that
// it writes.
type keeper struct {
	name    string
	dir     string
	env     []string
	prepare [][]string
	store   []string
	restore func(stored []byte, into string) ([]string, error) // stored is what the program printed when it last stored
	place   string                                             // where it keeps the bytes
	farm    *farm                                              // the manager that it talks to; nil: none

	stored []byte
}

// told is what `cas` says of its own work.
type told struct {
	Sent int64 `json:"bytes_sent"`
}

// Names of our own keepers, and the ref by which they name the tree.
const (
	localName = "cas, file://"
	farmName  = "cas, manager"
	treeRef   = "bench"
)

// ourKeeper keeps a tree with `cas` in a store of this machine.
func (b *bench) ourKeeper(ctx context.Context, tree string) (*keeper, error) {
	dir, err := b.folder("cas")
	if err != nil {
		return nil, err
	}
	place := filepath.Join(dir, "store")
	return b.withCas(ctx, &keeper{name: localName, dir: dir, place: place}, tree, "file://"+filepath.ToSlash(place))
}

// farmKeeper keeps a tree with `cas` at a manager of its own.
func (b *bench) farmKeeper(ctx context.Context, tree string) (*keeper, error) {
	dir, err := b.folder("farm")
	if err != nil {
		return nil, err
	}
	f, err := b.startFarm(ctx, dir)
	if err != nil {
		return nil, err
	}
	return b.withCas(ctx, &keeper{name: farmName, dir: dir, place: f.blobs(), farm: f}, tree, f.relay.url())
}

func (b *bench) withCas(ctx context.Context, k *keeper, tree, store string) (*keeper, error) {
	built, err := b.built(ctx)
	if err != nil {
		return nil, err
	}
	k.env = cleanEnvironment(k.dir)
	k.store = []string{built.cas, "sync", tree, "--store", store, "--name", treeRef, "--json"}
	k.restore = func(_ []byte, into string) ([]string, error) {
		return []string{built.cas, "checkout", treeRef, into, "--store", store, "--json"}, nil
	}
	return k, nil
}

// peers are programs that also keep folders in chunks.
var peers = []struct {
	name     string
	describe func(k *keeper, program, tree string)
}{{"restic", describeRestic}, {"kopia", describeKopia}, {"desync", describeDesync}}

// peerKeepers are the peers whose programs there are.
func (b *bench) peerKeepers(tree string) ([]*keeper, error) {
	var found []*keeper
	for _, peer := range peers {
		program, err := exec.LookPath(peer.name)
		if err != nil {
			continue
		}
		dir, err := b.folder(peer.name)
		if err != nil {
			return nil, err
		}
		k := &keeper{name: peer.name, dir: dir, place: filepath.Join(dir, "repository"), env: cleanEnvironment(dir)}
		peer.describe(k, program, tree)
		found = append(found, k)
	}
	return found, nil
}

func describeRestic(k *keeper, program, tree string) {
	k.env = append(k.env, "RESTIC_REPOSITORY="+k.place, "RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR="+filepath.Join(k.dir, "cache"))
	k.prepare = [][]string{{program, "init", "--quiet"}}
	k.store = []string{program, "backup", "--quiet", tree}
	k.restore = func(_ []byte, into string) ([]string, error) {
		return []string{program, "restore", "latest", "--quiet", "--target", into}, nil
	}
}

// describeKopia turns on the fastest zstd: without it, kopia compresses nothing.
func describeKopia(k *keeper, program, tree string) {
	k.env = append(k.env, "KOPIA_PASSWORD=bench", "KOPIA_CONFIG_PATH="+filepath.Join(k.dir, "kopia.config"),
		"KOPIA_CACHE_DIRECTORY="+filepath.Join(k.dir, "cache"), "KOPIA_LOG_DIR="+filepath.Join(k.dir, "log"),
		"KOPIA_CHECK_FOR_UPDATES=false")
	k.prepare = [][]string{
		{program, "repository", "create", "filesystem", "--path", k.place},
		{program, "policy", "set", "--global", "--compression", "zstd-fastest"},
	}
	k.store = []string{program, "snapshot", "create", tree, "--json", "--no-progress"}
	k.restore = func(stored []byte, into string) ([]string, error) {
		var snapshot struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(stored, &snapshot); err != nil || snapshot.ID == "" {
			return nil, fmt.Errorf("kopia named no snapshot in %.200q: %w", stored, err)
		}
		return []string{program, "restore", snapshot.ID, into, "--no-progress"}, nil
	}
}

// describeDesync cuts at 16, 64 and 256 KiB, as a casync store does.
func describeDesync(k *keeper, program, tree string) {
	index := filepath.Join(k.dir, "tree.caidx")
	k.store = []string{program, "tar", "--index", "--store", k.place, "--chunk-size", "16:64:256", index, tree}
	k.restore = func(_ []byte, into string) ([]string, error) {
		return []string{program, "untar", "--index", "--store", k.place, "--no-same-owner", index, into}, nil
	}
}

// ready makes the repository where the program does not do that by itself.
func (k *keeper) ready(ctx context.Context) error {
	if err := os.MkdirAll(k.place, 0o777); err != nil {
		return err
	}
	for _, command := range k.prepare {
		if _, _, err := runProgram(ctx, k.env, command...); err != nil {
			return err
		}
	}
	return nil
}

// keep stores the tree as it is now.
func (k *keeper) keep(ctx context.Context, work string) (Run, error) {
	before, err := k.size()
	if err != nil {
		return Run{}, err
	}
	run, out, err := k.measured(ctx, work, k.store)
	if err != nil {
		return run, err
	}
	k.stored = out
	after, err := k.size()
	run.Stored = after - before
	return run, err
}

// bringBack restores the tree into a new folder, which is removed.
func (k *keeper) bringBack(ctx context.Context, work string) (run Run, err error) {
	into := filepath.Join(k.dir, "restored")
	command, err := k.restore(k.stored, into)
	if err != nil {
		return run, err
	}
	if err := os.Mkdir(into, 0o777); err != nil {
		return run, err
	}
	run, _, err = k.measured(ctx, work, command)
	return run, errors.Join(err, removeAll(into))
}

// measured runs a program of the keeper and counts what it and its manager use.
func (k *keeper) measured(ctx context.Context, work string, command []string) (Run, []byte, error) {
	var before processUsage
	var sent traffic
	if k.farm != nil {
		var err error
		if before, err = k.farm.settled(ctx); err != nil {
			return Run{}, nil, err
		}
		resetPeak(k.farm.manager.Process.Pid)
		sent = k.farm.relay.count()
	}
	out, u, err := runProgram(ctx, k.env, command...)
	run := Run{Work: work, By: k.name, Seconds: u.took.Seconds(), CPU: u.cpu, Peak: u.peak}
	if err != nil {
		return run, out, err
	}
	if k.farm != nil {
		after, err := k.farm.settled(ctx)
		if err != nil {
			return run, out, err
		}
		t := k.farm.relay.count().minus(sent)
		run.ManagerCPU, run.ManagerPeak = after.CPU-before.CPU, after.Peak
		run.Sent, run.Received, run.Requests = t.sent, t.received, t.requests
	}
	return run, out, nil
}

// told gives what our own program said of its work when it last stored.
func (k *keeper) told() (t told, err error) {
	err = lastLine(k.stored, &t)
	return t, err
}

func (k *keeper) size() (int64, error) {
	if _, err := os.Stat(k.place); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return footprint(k.place)
}

// close ends the keeper's manager and removes all it has written.
func (k *keeper) close() error {
	var err error
	if k.farm != nil {
		err = k.farm.close()
	}
	return errors.Join(err, removeAll(k.dir))
}

// removeAll removes a folder, also where files and folders in it are read-only, as a store's are.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // A folder must be searched to be emptied.
		}
		return nil
	})
	return os.RemoveAll(dir)
}
