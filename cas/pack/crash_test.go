package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"syscall"
	"testing"

	"hayloft/cas"
)

// smallPack lets packs fill up soon. In bytes.
const smallPack = 3000

// work is what the crash tests interrupt: packs begin, fill up, are sealed and taken up again. It tells acknowledge of
// each content that is durable, and goes on after errors, as a server would.
func work(ctx context.Context, dir string, v volume, acknowledge func(Place, []byte)) error {
	var failed error
	seed := uint64(0)
	for range 2 {
		d, err := openDir(dir, v, smallPack, Place{})
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		for range 4 {
			seed += 2
			contents := [][]byte{random(seed, 700), random(seed+1, 400)}
			places, err := d.Append(ctx, [][]byte{frameOf(BlobKind, contents[0]), frameOf(BlobKind, contents[1])})
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			acknowledge(places[0], contents[0])
			acknowledge(places[1], contents[1])
		}
		failed = errors.Join(failed, d.Close())
	}
	return failed
}

// stepsOfWork is how many steps the work takes when nothing fails.
func stepsOfWork(t *testing.T) int {
	t.Helper()
	v := newFaultyVolume(0, nil)
	if err := work(t.Context(), t.TempDir(), v, func(Place, []byte) {}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"create", "open", "write", "truncate", "sync", "sync folder"} {
		if v.count(step) == 0 {
			t.Fatalf("the work has no step %q: %q", step, v.steps)
		}
	}
	return len(v.steps)
}

// check opens what was left behind and compares it with what was promised. What was not promised may be there, whole.
func check(t *testing.T, dir string, promised map[Place][]byte) {
	t.Helper()
	for range 2 { // the second time sees what the first one made of it
		d, err := openDir(dir, unsyncedVolume{}, smallPack, Place{})
		if err != nil {
			t.Fatal(err)
		}
		listed := 0
		err = d.Scan(t.Context(), Place{}, func(p Place, kind Kind, items []Item) error {
			frame, err := d.Frame(t.Context(), p)
			if err != nil {
				return err
			}
			if kind != frame.Kind || items[0] != frame.Items[0] {
				return fmt.Errorf("%v is listed as something else", p)
			}
			if want, ok := promised[p]; ok {
				listed++
				if !bytes.Equal(frame.Data, want) {
					return fmt.Errorf("%v holds something else", p)
				}
			}
			return nil
		})
		if err != nil || listed != len(promised) {
			t.Errorf("%d of %d promised frames are there: %v", listed, len(promised), err)
		}
		if _, err := d.Append(t.Context(), [][]byte{frameOf(BlobKind, []byte("one more"))}); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	verifySound(t, dir)
}

func verifySound(t *testing.T, dir string) {
	t.Helper()
	d, err := OpenDirReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Verify(t.Context(), func(p Place, item Item, err error) error {
		if err != nil {
			err = fmt.Errorf("%v, item %x: %w", p, item.ID, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEveryStepMayBeTheLast(t *testing.T) {
	for at := range stepsOfWork(t) {
		for name, lose := range losses {
			for _, keepNames := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d %s %v", at+1, name, keepNames), func(t *testing.T) {
					dir, v := t.TempDir(), newFaultyVolume(at+1, crash)
					promised := map[Place][]byte{}
					err := work(t.Context(), dir, v, func(p Place, content []byte) { promised[p] = content })
					if !errors.Is(err, errCrashed) {
						t.Fatal(err)
					}
					v.cutPower(t, dir, lose, keepNames)
					check(t, dir, promised)
				})
			}
		}
	}
}

func TestEveryStepMayFail(t *testing.T) {
	for name, fault := range map[string]error{"full disk": syscall.ENOSPC, "bad disk": syscall.EIO} {
		for at := range stepsOfWork(t) {
			t.Run(fmt.Sprintf("%s %d", name, at+1), func(t *testing.T) {
				dir, v := t.TempDir(), newFaultyVolume(at+1, fails(fault))
				promised := map[Place][]byte{}
				err := work(t.Context(), dir, v, func(p Place, content []byte) { promised[p] = content })
				if err != nil && !errors.Is(err, fault) {
					t.Errorf("%v", err)
				}
				if err != nil && errors.Is(err, cas.ErrNoSpace) != (fault == syscall.ENOSPC) {
					t.Errorf("the cause is not told: %v", err)
				}
				if missed := 16 - len(promised); missed > 8 {
					t.Errorf("one fault, and %d frames were refused", missed)
				}
				check(t, dir, maps.Clone(promised))
			})
		}
	}
}

// TestAfterAFailedWriteThePackGoesOn looks at what readers of the same process see meanwhile.
func TestAfterAFailedWriteThePackGoesOn(t *testing.T) {
	v := newFaultyVolume(0, fails(syscall.ENOSPC))
	d, err := openDir(t.TempDir(), v, fullPack, Place{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first := mustAppend(t, d, []byte("first"))
	v.mu.Lock()
	v.at = len(v.steps) + 1
	v.mu.Unlock()
	if _, err := d.Append(t.Context(), [][]byte{frameOf(BlobKind, []byte("second"))}); !errors.Is(err, cas.ErrNoSpace) {
		t.Fatal(err)
	}
	if got := placesIn(t, d); len(got) != 1 || got[0] != first {
		t.Errorf("after the failure: %v", got)
	}
	third := mustAppend(t, d, []byte("third"))
	if third.Pack != first.Pack || third.Offset != first.Offset+first.Length {
		t.Errorf("%v does not follow %v", third, first)
	}
}

// TestAfterAFailedSyncThePackIsLeft: what a failed sync has lost, no later sync brings back.
func TestAfterAFailedSyncThePackIsLeft(t *testing.T) {
	v := newFaultyVolume(0, fails(syscall.EIO))
	dir := t.TempDir()
	d, err := openDir(dir, v, fullPack, Place{})
	if err != nil {
		t.Fatal(err)
	}
	first := mustAppend(t, d, []byte("first"))
	v.mu.Lock()
	v.at = len(v.steps) + 2 // write, sync
	v.mu.Unlock()
	if _, err := d.Append(t.Context(), [][]byte{frameOf(BlobKind, []byte("second"))}); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	third := mustAppend(t, d, []byte("third"))
	if third.Pack == first.Pack {
		t.Errorf("%v lies in the pack whose sync failed", third)
	}
	if got := placesIn(t, d); len(got) != 2 || got[0] != first || got[1] != third {
		t.Errorf("%v instead of %v and %v", got, first, third)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	check(t, dir, map[Place][]byte{first: []byte("first"), third: []byte("third")})
}
