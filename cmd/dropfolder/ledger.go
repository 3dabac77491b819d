package dropfolder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

// record is what is known of one drop. It survives restarts.
type record struct {
	Name  string `json:"name"`
	Stamp string `json:"stamp"` // of the version that was handled last
	// Refused is why that version is not a job.
	Refused string `json:"refused,omitempty"`
	// Pending is the job of that version while it is unknown whether the manager has it already. It carries its key.
	Pending *wire.SubmittedJob `json:"pending,omitempty"`
	// Job is whose frames go to NAME.frames; it is that of an earlier version while this one is refused or pending.
	Job uuid.UUID `json:"job"`
	// Ended is how the job ended, once all of its frames are here; empty: it is being followed.
	Ended wire.JobStatus `json:"ended,omitempty"`
	// Waits: it is explained beside the drop that no worker can render the job.
	Waits bool `json:"waits,omitempty"`
}

// gone is the status of a job that was deleted at the manager.
const gone wire.JobStatus = "deleted"

// ledger keeps the records: in memory, and each in a file of its own. Methods may be called from many goroutines; changes
// take turns.
type ledger struct {
	dir      string
	complain func(file string, err error) // is told of records that cannot be read
	turn     chan struct{}                // holds one token; whoever took it uses what follows
	identity os.FileInfo                  // of the folder that the records are of
	records  map[string]record
}

const (
	recordSuffix   = ".drop.json"
	maxRecordBytes = 16 << 20
	// writingName is the small file that is being written; there is one at a time.
	writingName = "writing"
)

// openLedger reads the records of a watched folder. A record that cannot be read is left out, and complain is told: the job
// is found again by its key.
func openLedger(dir string, complain func(file string, err error)) (*ledger, error) {
	l := &ledger{dir: dir, complain: complain, turn: make(chan struct{}, 1)}
	if err := l.load(); err != nil {
		return nil, err
	}
	l.give()
	return l, nil
}

// load reads the records of whatever folder is at the place now.
func (l *ledger) load() error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // Only a folder is open.
	identity, err := root.Stat(".")
	if err != nil {
		return err
	}
	if err := root.MkdirAll(ownFolder, 0o755); err != nil {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), ownFolder)
	if err != nil {
		return err
	}
	records := map[string]record{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), recordSuffix) {
			continue
		}
		r, err := readRecord(root, path.Join(ownFolder, entry.Name()))
		if err != nil {
			l.complain(entry.Name(), err)
			continue
		}
		records[r.Name] = r
	}
	l.identity, l.records = identity, records
	return nil
}

// refresh reads the records anew if there is another folder in the place of the watched one, as when a share was mounted
// there or is gone from there; replaced tells so.
func (l *ledger) refresh(ctx context.Context) (replaced bool, err error) {
	if err := l.take(ctx); err != nil {
		return false, err
	}
	defer l.give()
	now, err := os.Stat(l.dir)
	if err != nil {
		return false, fmt.Errorf("look at the watched folder: %w", err)
	}
	if os.SameFile(now, l.identity) {
		return false, nil
	}
	if err := l.load(); err != nil {
		return false, fmt.Errorf("read the records of the watched folder: %w", err)
	}
	return true, nil
}

// errReplaced: another folder is in the place of the watched one, which the records know nothing of.
var errReplaced = errors.New("the watched folder was replaced by another one")

// open opens the folder that the records are of, and no other.
func (l *ledger) open() (*os.Root, error) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, fmt.Errorf("open the watched folder: %w", err)
	}
	now, err := root.Stat(".")
	if err == nil && !os.SameFile(now, l.identity) {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the watched folder: %w", err), root.Close())
	}
	return root, nil
}

func readRecord(root *os.Root, name string) (r record, err error) {
	info, err := root.Stat(name)
	if err != nil {
		return r, err
	}
	if info.Size() > maxRecordBytes {
		return r, fmt.Errorf("it has %d bytes", info.Size())
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, err
	}
	if recordFile(r.Name) != name {
		return r, fmt.Errorf("it is the record of %q", r.Name)
	}
	return r, nil
}

// recordFile is where the record of a drop lies in the watched folder.
func recordFile(name string) string {
	sum := sha256.Sum256([]byte(name))
	return path.Join(ownFolder, hex.EncodeToString(sum[:16])+recordSuffix)
}

// errSuperseded ends a change of a record that is not what the caller took it for.
var errSuperseded = errors.New("the drop has a newer version")

// take waits for the turn; give ends it.
func (l *ledger) take(ctx context.Context) error {
	select {
	case <-l.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *ledger) give() { l.turn <- struct{}{} }

// root opens the folder that the records are of.
func (l *ledger) root(ctx context.Context) (*os.Root, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.give()
	return l.open()
}

// get gives the record of a drop; the zero record but for its name if there is none.
func (l *ledger) get(ctx context.Context, name string) (record, error) {
	if err := l.take(ctx); err != nil {
		return record{}, err
	}
	defer l.give()
	return l.of(name), nil
}

func (l *ledger) of(name string) record {
	r, ok := l.records[name]
	if !ok {
		r.Name = name
	}
	return r
}

// all gives the records that are wanted.
func (l *ledger) all(ctx context.Context, wanted func(record) bool) ([]record, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.give()
	var found []record
	for _, r := range l.records {
		if wanted(r) {
			found = append(found, r)
		}
	}
	return found, nil
}

// change lets edit change the record of a drop, and the files beside the drop that go with it, while nobody else does. The
// record is on stable storage when change returns nil. If edit fails, the record stays as it is.
func (l *ledger) change(ctx context.Context, name string, edit func(*os.Root, *record) error) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.give()
	root, err := l.open()
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // Only a folder is open.
	before := l.of(name)
	after := before
	if err := edit(root, &after); err != nil || after == before {
		return err
	}
	text, err := json.MarshalIndent(after, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the record of %s: %w", name, err)
	}
	if err := writeWhole(root, recordFile(name), append(text, '\n')); err != nil {
		return fmt.Errorf("keep the record of %s: %w", name, err)
	}
	l.records[name] = after
	return nil
}

// writeWhole puts a small file in its place, whole and on stable storage, or not at all.
func writeWhole(root *os.Root, name string, text []byte) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.MkdirAll(ownFolder, 0o755); err != nil {
		return err
	}
	temp := path.Join(ownFolder, writingName)
	file, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return syncFolder(root, path.Dir(name))
}

// syncFolder makes the names in a folder durable where the system can: some file systems and platforms cannot, and keep
// them in their own way.
func syncFolder(root *os.Root, name string) error {
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	_ = dir.Sync()
	return dir.Close()
}

// explain puts the sentence beside a drop.
func explain(root *os.Root, name, sentence string) error {
	if err := writeWhole(root, beside(name, errorSuffix), []byte(sentence+"\n")); err != nil {
		return fmt.Errorf("say what is wrong with %s: %w", name, err)
	}
	return nil
}

// withdraw takes the sentence away again.
func withdraw(root *os.Root, name string) error {
	if err := root.Remove(beside(name, errorSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take back what was wrong with %s: %w", name, err)
	}
	return nil
}
