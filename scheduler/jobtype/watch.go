package jobtype

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// When a changed script is read again.
const (
	// settleTime is how long a folder must be quiet: editors write a file in several steps.
	settleTime = 200 * time.Millisecond
	// settleLimit bounds the wait in a folder that is never quiet.
	settleLimit = 2 * time.Second
	// rescanEvery is how often the folder is looked at without being asked. Network file systems report no change that
	// another machine made.
	rescanEvery = 30 * time.Second
)

// maxFolders bounds the folders that are watched; those beyond are only looked at now and then.
const maxFolders = 1000

// notices is where changes of files are reported. *[fsnotify.Watcher] has such members; all may be nil.
type notices struct {
	events <-chan fsnotify.Event
	errors <-chan error
	// add begins to watch a folder; one that is watched already is no error.
	add func(folder string) error
}

// Watch reads the scripts again soon after they change, until ctx ends; then it returns nil. A reading that fails is
// logged and leaves the library as it was. Without a scripts folder it returns at once. It is to be called once.
//
// Where the system reports no changes, or lost some, they are found by looking at the folder every half minute.
func (l *Library) Watch(ctx context.Context) error {
	if l.options.Scripts == nil {
		return nil
	}
	if l.options.Folder == "" {
		l.watch(ctx, notices{})
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		l.options.Log.Warn("changes of job types are noticed late: the system does not report them", "error", err)
		l.watch(ctx, notices{})
		return nil
	}
	l.watch(ctx, notices{events: watcher.Events, errors: watcher.Errors, add: watcher.Add})
	if err := watcher.Close(); err != nil {
		return fmt.Errorf("stop to watch the job types in %s: %w", l.options.Folder, err)
	}
	return nil
}

func (l *Library) watch(ctx context.Context, n notices) {
	w := folderWatch{library: l, notices: n}
	// What has changed since the library was loaded, nobody reported.
	w.look(ctx)
	rescan := time.NewTicker(rescanEvery)
	defer rescan.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-n.events:
			if event.Op != fsnotify.Chmod {
				w.expect(path.Ext(event.Name) == scriptSuffix)
			}
		case err := <-n.errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.complain(err)
			}
			w.expect(true)
		case <-w.settled:
			w.settled = nil
			w.look(ctx)
		case <-rescan.C:
			w.look(ctx)
		}
	}
}

// folderWatch is one run of [Library.Watch].
type folderWatch struct {
	library *Library
	notices
	// settled fires when the folder has been quiet; nil while no change is known.
	settled <-chan time.Time
	// deadline is when settled fires at the latest.
	deadline time.Time
	// touched says that a script was written, even if it looks the same: a file system may count time coarsely.
	touched bool
	// complaint is the last one logged, so that the same is not logged every half minute.
	complaint string
}

// expect puts the next look off until the folder is quiet.
func (w *folderWatch) expect(touched bool) {
	now := time.Now()
	if w.settled == nil {
		w.deadline = now.Add(settleLimit)
	}
	w.settled = time.After(min(settleTime, w.deadline.Sub(now)))
	w.touched = w.touched || touched
}

// look reads the scripts again if they are not as they were.
func (w *folderWatch) look(ctx context.Context) {
	l := w.library
	found := surveyScripts(l.options.Scripts)
	err := w.watchFolders(found.folders)
	if w.touched || found.state != l.current.Load().seen.state {
		w.touched = false
		reloaded := l.Reload(ctx)
		if ctx.Err() != nil {
			return
		}
		if err = cmp.Or(reloaded, err); reloaded == nil {
			l.options.Log.Info("job types were read again", "folder", l.options.Folder)
		}
	}
	w.complain(err)
}

func (w *folderWatch) complain(err error) {
	complaint := ""
	if err != nil {
		complaint = err.Error()
	}
	if complaint != "" && complaint != w.complaint {
		w.library.options.Log.Warn("job types are not up to date", "folder", w.library.options.Folder, "error", err)
	}
	w.complaint = complaint
}

// watchFolders asks for reports on folders. Those that were removed and made again need a new request, so all are asked
// for each time.
func (w *folderWatch) watchFolders(folders []string) error {
	if w.add == nil {
		return nil
	}
	for _, folder := range folders {
		err := w.add(filepath.Join(w.library.options.Folder, filepath.FromSlash(folder)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("watch folder %s: %w; changes there are noticed late", folder, err)
		}
	}
	return nil
}

// survey is a scripts folder as seen from outside.
type survey struct {
	// state is a digest of the paths, sizes and times of all scripts.
	state   uint64
	folders []string
}

var surveySeed = maphash.MakeSeed()

// surveyScripts looks at a folder without reading the scripts. What cannot be seen is part of the state as well.
func surveyScripts(folder fs.FS) survey {
	var found survey
	var state maphash.Hash
	state.SetSeed(surveySeed)
	// The function never returns an error but those that steer the walk.
	_ = fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			fmt.Fprintf(&state, "%q: %v\n", name, err)
			return fs.SkipDir
		case d.IsDir():
			if len(found.folders) < maxFolders {
				found.folders = append(found.folders, name)
			}
		case path.Ext(name) == scriptSuffix:
			info, err := fs.Stat(folder, name)
			if err != nil {
				fmt.Fprintf(&state, "%q: %v\n", name, err)
				return nil
			}
			fmt.Fprintf(&state, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	found.state = state.Sum64()
	return found
}
