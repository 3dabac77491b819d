package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// entry is one update on its way to the manager.
type entry struct {
	Task   uuid.UUID       `json:"task"`
	Update wire.TaskUpdate `json:"update"`

	ordinal uint64 // decides the order among all updates of the agent
}

func (e entry) terminal() bool {
	s := e.Update.TaskStatus
	return s != nil && (*s == wire.TaskStatusCompleted || *s == wire.TaskStatusFailed)
}

// outbox keeps unacknowledged updates on disk, one file each, named by its ordinal. An update is durable when put
// returns. Above its limit it drops the text of logs and says so in the log; statuses, steps and outputs are always kept.
type outbox struct {
	dir   string
	limit int64 // bytes

	mu      sync.Mutex
	items   []boxItem // ascending
	bytes   int64
	next    uint64
	settled uint64 // the highest ordinal that was removed; updates are settled in order
	dropped int64  // bytes of log that were dropped and not yet owned up to
}

type boxItem struct {
	ordinal uint64
	size    int64
}

// openOutbox finds what an earlier process left. Files that it did not finish are removed.
func openOutbox(dir string, limit int64) (*outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	o := &outbox{dir: dir, limit: limit, next: 1}
	for _, f := range files {
		ordinal, err := strconv.ParseUint(strings.TrimSuffix(f.Name(), ".json"), 10, 64)
		if strings.HasSuffix(f.Name(), ".tmp") {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return nil, fmt.Errorf("open outbox: %w", err)
			}
		}
		info, infoErr := f.Info()
		if err != nil || infoErr != nil || !info.Mode().IsRegular() {
			continue
		}
		o.add(boxItem{ordinal, info.Size()})
		o.next = max(o.next, ordinal+1)
	}
	return o, nil
}

// ordinal allots the place of an update that is being made.
func (o *outbox) ordinal() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next++
	return o.next - 1
}

// put stores an update. Storing one again changes nothing, and one that was settled while it was being written is gone
// again when put returns.
func (o *outbox) put(e entry) error {
	e, keep := o.thin(e)
	if !keep {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("keep an update of task %s: %w", e.Task, err)
	}
	if err := writeDurably(o.path(e.ordinal), text); err != nil {
		return fmt.Errorf("keep an update of task %s: %w", e.Task, err)
	}
	if o.enter(boxItem{e.ordinal, int64(len(text))}) {
		return nil
	}
	if err := os.Remove(o.path(e.ordinal)); err != nil {
		return fmt.Errorf("remove an acknowledged update: %w", err)
	}
	return nil
}

// enter adds a written item to the index, unless it was settled meanwhile.
func (o *outbox) enter(item boxItem) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if item.ordinal <= o.settled {
		return false
	}
	o.add(item)
	return true
}

// add enters an item into the index; the caller holds the lock or is alone.
func (o *outbox) add(item boxItem) {
	i, found := o.find(item.ordinal)
	if !found {
		o.items = slices.Insert(o.items, i, item)
		o.bytes += item.size
	}
}

func (o *outbox) find(ordinal uint64) (int, bool) {
	return slices.BinarySearchFunc(o.items, ordinal, func(i boxItem, n uint64) int {
		switch {
		case i.ordinal < n:
			return -1
		case i.ordinal > n:
			return 1
		}
		return 0
	})
}

// thin takes the log text out of an update when the outbox is full, and puts in a line about it as soon as one fits or
// the task ends. An update of which nothing is left is not kept.
func (o *outbox) thin(e entry) (thinned entry, keep bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	full := o.bytes >= o.limit
	if full && e.Update.Log != nil {
		o.dropped += int64(len(*e.Update.Log))
		e.Update.Log = nil
		u := e.Update
		if u.TaskStatus == nil && u.Activity == nil && u.StepsCompleted == nil && u.Outputs == nil {
			return e, false
		}
	}
	if o.dropped > 0 && (!full || e.terminal()) {
		note := fmt.Sprintf("(%d bytes of log were dropped: the manager could not be reached, and the worker keeps at most %d bytes for it)\n",
			o.dropped, o.limit)
		if e.Update.Log != nil {
			note += *e.Update.Log
		}
		e.Update.Log, o.dropped = &note, 0
	}
	return e, true
}

// head gives the oldest update. A file that cannot be understood is set aside with the ending .damaged and reported
// once.
func (o *outbox) head() (e entry, ok bool, err error) {
	o.mu.Lock()
	if len(o.items) == 0 {
		o.mu.Unlock()
		return entry{}, false, nil
	}
	ordinal := o.items[0].ordinal
	o.mu.Unlock()
	text, err := os.ReadFile(o.path(ordinal))
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		err = errors.Join(err, os.Rename(o.path(ordinal), o.path(ordinal)+".damaged"))
		o.forget(ordinal)
		return entry{}, false, fmt.Errorf("read a kept update: %w", err)
	}
	e.ordinal = ordinal
	return e, true, nil
}

// remove forgets an acknowledged update, whether it was stored or not. That the directory is not synced is harmless: an update that comes back after a
// power cut is sent again, and the manager knows its number.
func (o *outbox) remove(ordinal uint64) error {
	if !o.forget(ordinal) {
		return nil
	}
	if err := os.Remove(o.path(ordinal)); err != nil {
		return fmt.Errorf("remove an acknowledged update: %w", err)
	}
	return nil
}

func (o *outbox) forget(ordinal uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settled = max(o.settled, ordinal)
	i, found := o.find(ordinal)
	if found {
		o.bytes -= o.items[i].size
		o.items = slices.Delete(o.items, i, i+1)
	}
	return found
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items)
}

func (o *outbox) path(ordinal uint64) string {
	return filepath.Join(o.dir, fmt.Sprintf("%020d.json", ordinal))
}
