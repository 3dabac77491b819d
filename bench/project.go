package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	aimFirstLimit    = 0.8       // of what hash and disk allow
	aimFirstRestic   = 0.45      // of restic's processor time
	aimFirstKopia    = 0.75      // of kopia's, which compresses too
	aimUnchangedCPU  = 0.3       // s
	aimEditSent      = 2_600_000 // bytes
	aimEditCPU       = 3         // s, client and manager
	firstWork        = "first store"
	unchangedWork    = "unchanged"
	editWork         = "1 KiB inserted, 2 MiB overwritten"
	restoreWork      = "brought back"
	smallFileMaximum = 256 * kiB // up to which files share one fsync in the limit
)

// project is a tree of which two states are at hand.
type project struct {
	tree   string
	edited string // the scene after the edit, or before it while the edit is in the tree
	now    bool   // the edit is in the tree
	checks []Row
}

// measureProject keeps a whole project tree with our programs and with each peer: at first, unchanged, after an edit of
// the largest file, and back again.
func measureProject(ctx context.Context, b *bench) (rows []Row, err error) {
	dir, err := b.folder("project")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sizes := b.projectSizes()
	p := &project{tree: filepath.Join(dir, "tree"), edited: filepath.Join(dir, "edited")}
	files, size, err := makeProject(ctx, p.tree, sizes)
	if err != nil {
		return nil, err
	}
	scene := filepath.Join(p.tree, filepath.FromSlash(sceneName))
	if err := edit(scene, p.edited, sizes.scene); err != nil {
		return nil, err
	}
	limit, err := hashAndDisk(ctx, p.tree, filepath.Join(dir, "limit"))
	if err != nil {
		return nil, err
	}
	results, failed := p.tryAll(ctx, b)
	if results[localName] == nil || results[farmName] == nil {
		return nil, failed
	}
	b.plotProject(results)
	return append(projectRows(files, size, limit, results), p.checks...), failed
}

// tryAll lets all keepers do the work, one after the other. What one cannot do keeps no other from its turn.
func (p *project) tryAll(ctx context.Context, b *bench) (map[string]map[string]Run, error) {
	results := map[string]map[string]Run{}
	keepers, err := b.allKeepers(ctx, p.tree)
	failed := []error{err}
	for _, k := range keepers {
		runs, err := p.try(ctx, b, k)
		if err == nil {
			results[k.name] = runs
		}
		failed = append(failed, err, k.close())
	}
	return results, errors.Join(failed...)
}

// allKeepers are ours and, after them, those of the peers that are there.
func (b *bench) allKeepers(ctx context.Context, tree string) ([]*keeper, error) {
	ours, err := b.ourKeeper(ctx, tree)
	if err != nil {
		return nil, err
	}
	keepers := []*keeper{ours}
	farm, err := b.farmKeeper(ctx, tree)
	if err != nil {
		return keepers, err
	}
	peers, err := b.peerKeepers(tree)
	return append(append(keepers, farm), peers...), err
}

// swap takes the edit into the tree, or out of it. The file is another one then, as after a save.
func (p *project) swap() error {
	scene := filepath.Join(p.tree, filepath.FromSlash(sceneName))
	aside := p.edited + ".aside"
	p.now = !p.now
	return errors.Join(os.Rename(scene, aside), os.Rename(p.edited, scene), os.Rename(aside, p.edited))
}

// try runs one keeper through all the work. The edit is out of the tree afterwards.
func (p *project) try(ctx context.Context, b *bench, k *keeper) (runs map[string]Run, err error) {
	if err := k.ready(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if p.now {
			err = errors.Join(err, p.swap())
		}
	}()
	runs = map[string]Run{}
	for _, work := range []string{firstWork, unchangedWork, editWork, restoreWork} {
		var run Run
		var err error
		switch work {
		case editWork:
			if err = p.swap(); err == nil {
				run, err = k.keep(ctx, work)
			}
		case restoreWork:
			run, err = k.bringBack(ctx, work)
		default:
			run, err = k.keep(ctx, work)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", k.name, work, err)
		}
		runs[work] = run
		b.note(run)
		if k.farm != nil && work != restoreWork {
			check, err := crossCheck(k, run)
			if err != nil {
				return nil, err
			}
			p.checks = append(p.checks, check)
		}
	}
	return runs, nil
}

// crossCheck compares the bytes that `cas` says it sent with those that went over the relay.
func crossCheck(k *keeper, run Run) (Row, error) {
	t, err := k.told()
	return Row{Work: run.Work + ": bytes sent as cas tells it", Figure: float64(t.Sent), Unit: "B"}.
		against("counted by the relay", float64(run.Sent)), err
}

func projectRows(files int, size int64, limit time.Duration, results map[string]map[string]Run) []Row {
	local, farm := results[localName], results[farmName]
	tree := fmt.Sprintf("%s files, %.2f GB, ", number(float64(files)), float64(size)/1e9)
	speed := func(seconds float64) float64 { return megabytes(size, time.Duration(seconds*float64(time.Second))) }
	first := Row{Work: tree + firstWork + ": processor time", Figure: local[firstWork].CPU, Unit: "s"}
	rows := []Row{
		Row{Work: tree + firstWork, Figure: speed(local[firstWork].Seconds), Unit: "MB/s"}.
			against("read, SHA-256, written and synced", megabytes(size, limit)).aim(ratioAtLeast(aimFirstLimit)),
		{Work: tree + firstWork + " at a manager", Figure: speed(farm[firstWork].Seconds), Unit: "MB/s"},
	}
	peerAims := map[string]float64{"restic": aimFirstRestic, "kopia": aimFirstKopia}
	plain := true
	for _, name := range []string{"restic", "kopia", "desync"} {
		runs, there := results[name]
		if !there {
			continue
		}
		plain = false
		row := first.against(name, runs[firstWork].CPU)
		if bound, has := peerAims[name]; has {
			row = row.aim(ratioAtMost(bound))
		}
		rows = append(rows, row)
	}
	if plain {
		rows = append(rows, first)
	}
	edited := farm[editWork]
	return append(rows,
		Row{Work: "the same, unchanged: processor time, file://", Figure: local[unchangedWork].CPU, Unit: "s"}.aim(atMost(aimUnchangedCPU)),
		Row{Work: "the same, unchanged: processor time, client and manager", Figure: farm[unchangedWork].CPU + farm[unchangedWork].ManagerCPU, Unit: "s"}.
			aim(atMost(aimUnchangedCPU)),
		Row{Work: "in the scene, " + editWork + ": sent", Figure: float64(edited.Sent), Unit: "B"}.aim(atMost(aimEditSent)),
		Row{Work: "in the scene, " + editWork + ": processor time, client and manager", Figure: edited.CPU + edited.ManagerCPU, Unit: "s"}.aim(atMost(aimEditCPU)),
	)
}

// plotProject draws the figures that tell keepers apart.
func (b *bench) plotProject(results map[string]map[string]Run) {
	for _, chart := range []struct {
		name, title, work, unit string
		log                     bool
		of                      func(Run) float64
	}{
		{"project-first", "Project tree, first store: processor time", firstWork, "s", false, func(r Run) float64 { return r.CPU + r.ManagerCPU }},
		{"project-unchanged", "Project tree, unchanged: processor time", unchangedWork, "s", true, func(r Run) float64 { return r.CPU + r.ManagerCPU }},
		{"project-edit", "Edit in the large scene: processor time", editWork, "s", false, func(r Run) float64 { return r.CPU + r.ManagerCPU }},
		{"project-bytes", "Edit in the large scene: bytes sent, or added to the repository", editWork, "MB", true, func(r Run) float64 {
			if r.Sent > 0 {
				return float64(r.Sent) / 1e6
			}
			return float64(r.Stored) / 1e6
		}},
	} {
		c := Chart{Name: chart.name, Title: chart.title, Unit: chart.unit, Log: chart.log}
		for _, name := range []string{localName, farmName, "restic", "kopia", "desync"} {
			// A store of this machine sends nothing, and has a whole file of each version to open.
			if runs, there := results[name]; there && (chart.name != "project-bytes" || name != localName) {
				c.Bars = append(c.Bars, Bar{Label: name, Value: chart.of(runs[chart.work]), Ours: name == localName || name == farmName})
			}
		}
		b.plot(c)
	}
}

// hashAndDisk does the least that keeping a tree takes, on all processors: read each file, hash it, write it, and force
// it to stable storage; small files go into one file, which is forced once.
func hashAndDisk(ctx context.Context, tree, into string) (took time.Duration, err error) {
	if err := os.Mkdir(into, 0o777); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(into)) }()
	var names, small []string
	err = filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() <= smallFileMaximum {
			small = append(small, path)
		} else {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	started := time.Now()
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(runtime.NumCPU())
	for i, group := range append([][]string{small}, oneEach(names)...) {
		all.Go(func() error {
			return errors.Join(ctx.Err(), copyHashed(filepath.Join(into, fmt.Sprint(i)), group))
		})
	}
	err = all.Wait()
	return time.Since(started), err
}

func oneEach(names []string) [][]string {
	groups := make([][]string, len(names))
	for i := range names {
		groups[i] = names[i : i+1]
	}
	return groups
}

// copyHashed appends files to one and makes it durable.
func copyHashed(to string, names []string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	buffer := make([]byte, writeSize)
	for _, name := range names {
		from, err := os.Open(name)
		if err != nil {
			return errors.Join(err, out.Close())
		}
		sum := sha256.New()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(out, sum)}, struct{ io.Reader }{from}, buffer)
		if err := errors.Join(err, from.Close()); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(out.Sync(), out.Close())
}
