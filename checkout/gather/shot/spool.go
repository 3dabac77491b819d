package shot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hayloft/checkout/blend"
	"hayloft/checkout/fileindex"
	"hayloft/checkout/gather"
)

// spool keeps the changed copies of .blend files. Each lies in a folder of its own, which is named after the file and
// its new texts, so that a copy keeps its path as long as these stay.
type spool struct {
	folder string
	now    func() time.Time
	wrote  bool
}

// DefaultSpool is the folder for changed copies of .blend files in the user's cache.
func DefaultSpool() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for copies of .blend files: %w; name one", err)
	}
	return filepath.Join(cache, "hayloft", "scenes"), nil
}

// recordName is the file beside a copy that tells what it was made of.
const recordName = "copy.json"

// record tells what a copy was made of.
type record struct {
	Source  string         // absolute
	From    fileindex.Stat // of the source
	To      fileindex.Stat // of the copy
	Began   time.Time      // before the source was read
	Unasked []field        // fields that could not be changed
}

// attempts is how many times a file that is written to meanwhile is copied before that is an error.
const attempts = 3

// copy gives the path of a copy of a .blend file with new texts, and which of these have no field to go to.
func (s *spool) copy(ctx context.Context, source string, texts map[field]string) (path string, unasked []field, err error) {
	folder := filepath.Join(s.folder, copyName(source, texts))
	path = filepath.Join(folder, filepath.Base(source))
	if known, ok := readRecord(folder, source, path); ok {
		return path, known.Unasked, s.keepFresh(filepath.Join(folder, recordName))
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", nil, err
	}
	s.wrote = true
	for range attempts {
		made, err := s.makeCopy(ctx, source, path, texts)
		if err == nil {
			return path, made.Unasked, s.writeRecord(folder, made)
		}
		if !errors.Is(err, gather.ErrChanging) {
			return "", nil, err
		}
	}
	return "", nil, fmt.Errorf("%q: %w", source, gather.ErrChanging)
}

// copyName depends on the source's path and all texts.
func copyName(source string, texts map[field]string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q\n", source)
	for _, f := range sortedFields(texts) {
		fmt.Fprintf(sum, "%q %q %q %q %q %q\n", f.Datablock, f.Kind, f.Field, f.Written, f.Base, texts[f])
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

func sortedFields(texts map[field]string) []field {
	return slices.SortedFunc(maps.Keys(texts), func(a, b field) int {
		return cmp.Or(cmp.Compare(a.Datablock, b.Datablock), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Written, b.Written), cmp.Compare(a.Base, b.Base))
	})
}

// settled is how old a file's times must be when it is read, so that every later change shows in them: the coarsest
// clock of a file system ticks every two seconds.
const settled = 2 * time.Second

// readRecord tells whether the copy at path is what would be made anew.
func readRecord(folder, source, path string) (record, bool) {
	var known record
	text, err := os.ReadFile(filepath.Join(folder, recordName))
	if err != nil || json.Unmarshal(text, &known) != nil || known.Source != source {
		return record{}, false
	}
	from, errFrom := statOf(source)
	to, errTo := statOf(path)
	if errFrom != nil || errTo != nil || from != known.From || to != known.To {
		return record{}, false
	}
	young := max(from.ModTime, from.ChangeTime)+int64(settled) > known.Began.UnixNano()
	return known, !young
}

func statOf(path string) (fileindex.Stat, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileindex.Stat{}, err
	}
	return fileindex.StatOf(info), nil
}

// makeCopy writes the copy at path, unless the one that is there has the same bytes: then it stays untouched, and counts
// as unchanged for whoever looks at its times.
func (s *spool) makeCopy(ctx context.Context, source, path string, texts map[field]string) (made record, err error) {
	made = record{Source: source, Began: s.now()}
	if made.From, err = statOf(source); err != nil {
		return record{}, err
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), "new-*.blend")
	if err != nil {
		return record{}, err
	}
	defer os.Remove(fresh.Name())
	asked := map[field]bool{}
	_, err = blend.Rewrite(ctx, source, fresh, func(d blend.Dependency) (string, bool) {
		text, ok := texts[fieldOf(d)]
		asked[fieldOf(d)] = true
		return text, ok
	})
	if err := errors.Join(err, fresh.Close()); err != nil {
		return record{}, err
	}
	after, err := statOf(source)
	if err != nil {
		return record{}, err
	}
	if after != made.From {
		return record{}, gather.ErrChanging
	}
	for _, f := range sortedFields(texts) {
		if !asked[f] {
			made.Unasked = append(made.Unasked, f)
		}
	}
	same, err := sameBytes(fresh.Name(), path)
	if err == nil && !same {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		return record{}, err
	}
	made.To, err = statOf(path)
	return made, err
}

// sameBytes tells whether two files hold the same. A file that is not there holds nothing like it.
func sameBytes(a, b string) (same bool, err error) {
	first, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer first.Close()
	second, err := os.Open(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer second.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errFirst := io.ReadFull(first, x)
		m, errSecond := io.ReadFull(second, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if errFirst != nil || errSecond != nil {
			return isEnd(errFirst) && isEnd(errSecond), errors.Join(unlessEnd(errFirst), unlessEnd(errSecond))
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func unlessEnd(err error) error {
	if isEnd(err) {
		return nil
	}
	return err
}

// writeRecord puts the record in place as a whole, since another process may read it.
func (s *spool) writeRecord(folder string, made record) error {
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	fresh, err := os.CreateTemp(folder, "new-*.json")
	if err != nil {
		return err
	}
	_, err = fresh.Write(text)
	err = errors.Join(err, fresh.Close(), os.Chtimes(fresh.Name(), s.now(), s.now()))
	if err == nil {
		err = os.Rename(fresh.Name(), filepath.Join(folder, recordName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return nil
}

// A copy that nothing asked for in a month is removed. That it was asked for is noted once a day.
const (
	noteAfter = 24 * time.Hour
	dropAfter = 30 * 24 * time.Hour
)

// keepFresh notes in a record's time that its copy was asked for.
func (s *spool) keepFresh(path string) error {
	info, err := os.Stat(path)
	if err != nil || s.now().Sub(info.ModTime()) < noteAfter {
		return err
	}
	now := s.now()
	return os.Chtimes(path, now, now)
}

// prune removes old copies, and only when there is a new one: the spool has no other way to grow.
func (s *spool) prune() error {
	if !s.wrote {
		return nil
	}
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		folder := filepath.Join(s.folder, entry.Name())
		info, err := os.Stat(filepath.Join(folder, recordName))
		if !isCopyName(entry.Name()) || err != nil || s.now().Sub(info.ModTime()) < dropAfter {
			continue
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// isCopyName keeps prune from what others may have put into the folder.
func isCopyName(name string) bool {
	sum, err := hex.DecodeString(name)
	return err == nil && len(sum) == 16
}
