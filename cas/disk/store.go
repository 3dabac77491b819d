package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"hayloft/cas"
)

var (
	// ErrInUse: another process has the store open for writing.
	ErrInUse = errors.New("another process is using the store")
	// ErrNotAStore: the directory is not a store, and not an empty one in which a store could be made.
	ErrNotAStore = errors.New("the directory is not a store")

	errDamagedFormat = fmt.Errorf("the file %q is damaged; put it back from a backup", formatName)
	errLocked        = errors.New("locked")
)

// Store is a [cas.Store] in a directory, open for writing. It may be used by many goroutines.
type Store struct {
	View
	volume     volume
	lock       *os.File
	life       life
	packer     *packer
	memory     budget        // of the bodies of small blobs
	spilled    chan struct{} // one for each spilled blob that is being packed
	assemblies assemblies
}

// Open opens the store in the directory root for reading and writing and clears what a crash left there. When root
// does not exist or is empty, the store is made.
//
// Errors: [ErrInUse] while another process has it open, [ErrNotAStore] for a directory with other things in it,
// [cas.ErrNewerFormat]. In these cases nothing in the directory has changed.
func Open(root string) (*Store, error) { return openOn(osVolume{}, root) }

func openOn(volume volume, root string) (*Store, error) {
	path, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", root, err)
	}
	where := layout(path)
	lock, err := prepare(volume, where)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	store := &Store{View: View{layout: where, ledger: new(ledger)}, volume: volume, lock: lock,
		spilled: make(chan struct{}, spilledAtOnce)}
	if err := store.equip(); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, errors.Join(err, lock.Close()))
	}
	return store, nil
}

// equip reads or makes what the store is known by, and opens its packs.
func (s *Store) equip() (err error) {
	if s.generation, err = s.layout.keepGeneration(s.volume); err != nil {
		return err
	}
	if s.epoch, err = s.layout.keepEpoch(s.volume, s.volume.boot()); err != nil {
		return err
	}
	if s.shelf, err = openShelf(context.Background(), s.layout); err != nil {
		return err
	}
	s.packer = &packer{packs: s.shelf.packs, index: s.shelf.index}
	return nil
}

// prepare leaves a locked, complete and cleared store. It looks before it locks, since the lock is a file and not even
// that is put into somebody else's directory; and again after, since another process may have been faster.
func prepare(names namespace, where layout) (*os.File, error) {
	if err := makeRoot(names, string(where)); err != nil {
		return nil, err
	}
	if _, err := where.inspect(); err != nil {
		return nil, err
	}
	lock, orderly, err := takeLock(where.join(lockName))
	if err != nil {
		return nil, err
	}
	if err := prepareLocked(names, where, orderly); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func prepareLocked(names namespace, where layout, orderly bool) error {
	version, err := where.inspect()
	if err != nil {
		return err
	}
	if version != formatVersion {
		if err := where.stampFormat(names); err != nil {
			return err
		}
	}
	if err := where.makeFolders(names); err != nil {
		return err
	}
	if err := where.clearIncoming(names); err != nil {
		return err
	}
	if err := where.clearAssembling(names); err != nil {
		return err
	}
	if version != 0 && !orderly {
		if err := where.syncFanOuts(names); err != nil {
			return err
		}
	}
	return names.syncDir(where.join(refsName))
}

// endedInOrder is what a process writes into the lock when it closes the store with every name durable. Where it is
// missing, names may be visible that are not durable. The text itself needs no sync: if a power cut brings an old one
// back, then every name that is still visible was read from the disk, and is durable.
const endedInOrder = "closed\n"

// takeLock locks the store for this process, tells whether the one before ended in order, and takes that mark away.
func takeLock(path string) (lock *os.File, orderly bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, stampMode)
	if err != nil {
		return nil, false, err
	}
	err = lockFile(file)
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("%w: stop that process, or open the store for reading only", ErrInUse)
	}
	var mark []byte
	if err == nil {
		mark, err = io.ReadAll(io.LimitReader(file, int64(len(endedInOrder))))
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file, string(mark) == endedInOrder, nil
}

// Close lets another process open the store. Whatever writes fails from now on with [cas.ErrClosed]; writers and
// assemblies that are open may still end, and the directory stays locked until the last of them has. Then reading ends,
// too, but for readers that are open.
func (s *Store) Close() error {
	if !s.life.close() {
		return nil
	}
	return s.unlock()
}

// leave is called once for each life.enter that succeeded. What unlock returns has no bearing on what was written, and
// the lock is gone either way.
func (s *Store) leave() {
	if s.life.leave() {
		_ = s.unlock()
	}
}

func (s *Store) unlock() error {
	err := s.shelf.close()
	if s.ledger.allSettled() {
		_, markErr := s.lock.WriteAt([]byte(endedInOrder), 0)
		err = errors.Join(err, markErr)
	}
	return errors.Join(err, s.lock.Close())
}

// life counts who may still write, so that the directory stays locked as long as somebody may.
type life struct {
	mu      sync.Mutex
	closed  bool
	writers int
}

func (l *life) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("the store is %w", cas.ErrClosed)
	}
	l.writers++
	return nil
}

// leave and close tell whether nobody can write any more. Just one of all the calls does.
func (l *life) leave() (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writers--
	return l.closed && l.writers == 0
}

func (l *life) close() (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.closed
	l.closed = true
	return first && l.writers == 0
}

// explain gives a full disk its meaning and says what can be done.
func (s *Store) explain(err error) error {
	if isNoSpace(err) && !errors.Is(err, cas.ErrNoSpace) {
		return fmt.Errorf("%w at %s: free some space there and try again: %w", cas.ErrNoSpace, s.layout, err)
	}
	return err
}

// discard closes and removes a temporary file. It has no one to tell of an error, and needs none: whatever stays is
// invisible, and the next Open clears it.
func (s *Store) discard(temp tempFile) {
	_ = temp.Close()
	_ = s.volume.remove(temp.Name())
}

// reserveFrom is the announced size, in bytes, from which space is reserved. Smaller files gain nothing.
const reserveFrom = 1 << 20

// reserveMax bounds, in bytes, what one announcement can take from the disk before its bytes have come.
const reserveMax = 1 << 30

// Create starts a blob; see [cas.Creator]. An announced size for which the disk has no room is [cas.ErrNoSpace] at once.
// The writer it returns is an [io.ReaderFrom] that hashes while it reads and writes. A blob of at most [SmallSize] bytes
// ends in a pack; those that are committed at the same time share one sync.
func (s *Store) Create(ctx context.Context, hint int64) (cas.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	if err := s.life.enter(); err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	if hint <= SmallSize {
		return newWriter(s, nil, hint), nil
	}
	temp, err := s.createTemp(hint)
	if err != nil {
		s.leave()
		return nil, fmt.Errorf("create blob: %w", s.explain(err))
	}
	return newWriter(s, temp, hint), nil
}

func (s *Store) createTemp(hint int64) (tempFile, error) {
	temp, err := s.volume.createTemp(s.layout.join(incomingName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the store's folders are gone; was %s moved or unmounted? %w", s.layout, err)
	}
	if err != nil {
		return nil, err
	}
	if hint >= reserveFrom {
		if err := temp.reserve(min(hint, reserveMax)); err != nil {
			s.discard(temp)
			return nil, err
		}
	}
	return temp, nil
}
