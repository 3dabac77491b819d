package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// What an assembly leaves is two files in the folder for assembling, named by the blob's digest: first the recipe, in its
// encoding, and then the part, a file of the blob's size in which some chunks are in their places. Neither is synced. A
// recipe that is not well formed, and one of the two without the other, are removed at the next Open; a recipe that is
// not the one somebody asks for is not used; and nothing of a part is believed that was not hashed.

const recipeSuffix = ".recipe"

func (l layout) part(digest cas.Digest) string {
	return filepath.Join(l.join(assembleName), digest.String()+tempSuffix)
}

func (l layout) recipe(digest cas.Digest) string {
	return filepath.Join(l.join(assembleName), digest.String()+recipeSuffix)
}

// openPart opens the part for a recipe. found: it is one that an earlier assembly of the same recipe has left.
func (s *Store) openPart(recipe chunk.Recipe) (part partFile, found bool, err error) {
	encoded, err := recipe.MarshalBinary()
	if err != nil {
		return nil, false, err
	}
	blob := recipe.Blob()
	path := s.layout.part(blob.Digest)
	left, err := os.ReadFile(s.layout.recipe(blob.Digest))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	if err == nil && bytes.Equal(left, encoded) {
		_, err := os.Lstat(path)
		found = err == nil
	}
	if !found {
		if err := s.removeAssembly(blob.Digest); err != nil {
			return nil, false, err
		}
		if err := s.leaveRecipe(blob.Digest, encoded); err != nil {
			return nil, false, err
		}
	}
	part, err = s.volume.openPart(path, blob.Size, min(blob.Size, reserveMax))
	if err != nil && !found {
		err = errors.Join(err, s.removeAssembly(blob.Digest))
	}
	return part, found, err
}

// leaveRecipe writes the recipe beside the part, in one step.
func (s *Store) leaveRecipe(digest cas.Digest, encoded []byte) error {
	temp, err := s.volume.createTemp(s.layout.join(incomingName))
	if err != nil {
		return err
	}
	if _, err = temp.Write(encoded); err == nil {
		err = temp.finish(partMode, time.Now())
	}
	if err == nil {
		err = s.volume.replace(temp.Name(), s.layout.recipe(digest))
	}
	if err != nil {
		s.discard(temp)
	}
	return err
}

// removeAssembly removes both files, the part first: a recipe alone is cleared by the next Open, and costs little.
func (s *Store) removeAssembly(digest cas.Digest) error {
	for _, path := range []string{s.layout.part(digest), s.layout.recipe(digest)} {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := s.volume.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Assemblies lists the blobs of which a part is there, open or left by an earlier assembly, in ascending order of digests.
func (s *Store) Assemblies(ctx context.Context) ([]cas.Blob, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list assemblies: %w", err)
	}
	all, err := s.layout.leftovers()
	if err != nil {
		return nil, fmt.Errorf("list assemblies: %w", err)
	}
	var blobs []cas.Blob
	for _, left := range all {
		if left.whole() {
			blobs = append(blobs, left.blob)
		}
	}
	slices.SortFunc(blobs, func(a, b cas.Blob) int { return a.Digest.Compare(b.Digest) })
	return blobs, nil
}

// DropAssembly removes what an earlier assembly has left of a blob, if anything; [ErrAssembling] while it is open.
func (s *Store) DropAssembly(digest cas.Digest) error {
	if err := s.dropAssembly(digest); err != nil {
		return fmt.Errorf("drop the assembly of blob %v: %w", digest, err)
	}
	return nil
}

func (s *Store) dropAssembly(digest cas.Digest) error {
	if err := s.life.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.assemblies.begin(digest); err != nil {
		return err
	}
	defer s.assemblies.end(digest)
	return s.removeAssembly(digest)
}

// leftover is what lies in the folder for assembling under one name.
type leftover struct {
	files  []string // paths
	blob   cas.Blob // of the recipe, if that is well formed
	part   bool
	recipe bool
}

func (l leftover) whole() bool { return l.part && l.recipe }

// leftovers gives what lies in the folder for assembling, by name.
func (l layout) leftovers() (map[string]leftover, error) {
	dir := l.join(assembleName)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := make(map[string]leftover)
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		name, suffix, _ := strings.Cut(entry.Name(), ".")
		left, path := all[name], filepath.Join(dir, entry.Name())
		switch "." + suffix {
		case tempSuffix:
			left.part = true
		case recipeSuffix:
			left.blob, err = readRecipe(path)
			left.recipe = err == nil && left.blob.Digest.String() == name
		default:
			continue
		}
		left.files = append(left.files, path)
		all[name] = left
	}
	return all, nil
}

// readRecipe gives the blob of a recipe that lies in a file.
func readRecipe(path string) (cas.Blob, error) {
	file, err := os.Open(path)
	if err != nil {
		return cas.Blob{}, err
	}
	encoded, readErr := io.ReadAll(io.LimitReader(file, pack.MaxRecipe+1))
	if err := errors.Join(readErr, file.Close()); err != nil {
		return cas.Blob{}, err
	}
	recipe, err := chunk.DecodeRecipe(encoded)
	return recipe.Blob(), err
}

// clearAssembling removes what cannot be taken up again.
func (l layout) clearAssembling(names namespace) error {
	all, err := l.leftovers()
	if err != nil {
		return err
	}
	for _, left := range all {
		if left.whole() {
			continue
		}
		for _, path := range left.files {
			if err := names.remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
