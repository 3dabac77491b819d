package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// treeSizes is how much of everything a project tree has; sizes are in bytes.
type treeSizes struct {
	scene    int64
	textures int
	texture  int64
	caches   int
	cache    int64
	small    int
}

// projectSizes gives 3.6 GB, or 84 MB.
func (b *bench) projectSizes() treeSizes {
	return pick(b,
		treeSizes{scene: 48 * miB, textures: 6, texture: 2 * miB, caches: 10, cache: 2 * miB, small: 200},
		treeSizes{scene: 1024 * miB, textures: 60, texture: 14 * miB, caches: 200, cache: 7_834 * kiB, small: 2_000})
}

// matter makes up the next bytes of a file; len(p) is a multiple of matterUnit.
type matter func(random *rand.ChaCha8, p []byte)

// matterUnit is the length that all matter is made in.
const matterUnit = 64

// What files of a project are like: a general compressor finds nothing in textures, about a quarter in geometry, half in
// volumes, and much in text.
var (
	texture matter = func(random *rand.ChaCha8, p []byte) { random.Read(p) } //nolint:errcheck // It never fails.

	geometry matter = func(random *rand.ChaCha8, p []byte) {
		random.Read(p) //nolint:errcheck // It never fails.
		for at := 0; at < len(p); at += matterUnit {
			// Coordinates are noise; flags and indices of materials are the same everywhere.
			copy(p[at+24:at+44], "\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x20\x00\x00\x00\x80\x3f\x00\x00\x00\x00")
		}
	}

	volume matter = func(random *rand.ChaCha8, p []byte) {
		random.Read(p) //nolint:errcheck // It never fails.
		for at := 0; at < len(p); at += matterUnit {
			voxels := p[at : at+matterUnit]
			if voxels[0]&1 == 0 {
				clear(voxels) // nothing but air
				continue
			}
			for i := 1; i < len(voxels); i += 2 {
				voxels[i] = 0x3c | voxels[i]&1
			}
		}
	}

	text matter = func(random *rand.ChaCha8, p []byte) {
		words := [...]string{"frame ", "node ", "light ", "camera ", "world = ", "mesh ", "depth ", "colour ", "sample: ", "float ", "\n"}
		for len(p) > 0 {
			bits := random.Uint64()
			n := copy(p, words[bits%uint64(len(words))])
			p = p[n:]
			n = copy(p, strconv.FormatUint(bits>>54, 10)+" ")
			p = p[n:]
		}
	}
)

// seedOf makes a seed of a name, so that a file's bytes depend on nothing else.
func seedOf(name string) [32]byte { return sha256.Sum256([]byte("hayloft bench: " + name)) }

// madeUp is the content of one file as it is read.
type madeUp struct {
	random *rand.ChaCha8
	of     matter
	block  [64 * kiB]byte
	ready  []byte
	left   int64
}

func newMadeUp(name string, of matter, size int64) *madeUp {
	return &madeUp{random: rand.NewChaCha8(seedOf(name)), of: of, left: size}
}

// Read gives the next bytes; see [io.Reader].
func (m *madeUp) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	if len(m.ready) == 0 {
		needed := (min(m.left, int64(len(m.block))) + matterUnit - 1) / matterUnit * matterUnit
		m.ready = m.block[:needed]
		m.of(m.random, m.ready)
	}
	n := copy(p[:min(int64(len(p)), m.left)], m.ready)
	m.ready, m.left = m.ready[n:], m.left-int64(n)
	return n, nil
}

// writeMadeUp writes a file below root. A large one is forced to the disk, so that nobody's measurement has to wait for it.
func writeMadeUp(root, name string, of matter, size int64) error {
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, writeSize)
	_, err = io.Copy(struct{ io.Writer }{out}, newMadeUp(name, of, size))
	err = errors.Join(err, out.Flush())
	if err == nil && size > miB {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// sceneName is the large file of a project tree.
const sceneName = "scenes/shot010.scene"

// makeProject writes a project tree and gives the number of its files and bytes.
func makeProject(ctx context.Context, root string, sizes treeSizes) (files int, bytes int64, err error) {
	add := func(name string, of matter, size int64) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return
		}
		err = writeMadeUp(root, name, of, size)
		files, bytes = files+1, bytes+size
	}
	add(sceneName, geometry, sizes.scene)
	for i := range sizes.textures {
		add(fmt.Sprintf("textures/surface.%03d.tex", i), texture, sizes.texture)
	}
	for i := range sizes.caches {
		add(fmt.Sprintf("caches/smoke.%04d.vol", i), volume, sizes.cache)
	}
	random := rand.New(rand.NewChaCha8(seedOf("sizes of small files")))
	for i := range sizes.small {
		add(fmt.Sprintf("library/part%02d/node.%05d.txt", i%50, i), text, random.Int64N(40*kiB)+1)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("make a project tree: %w", err)
	}
	return files, bytes, nil
}

const (
	insertedBytes    = kiB     // by the edit, at a third of the scene
	overwrittenBytes = 2 * miB // by the edit, at two thirds
)

// edit writes the scene as it is after a day's work: something was put in, something else was changed.
func edit(before, after string, size int64) (err error) {
	from, err := os.Open(before)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(after)
	if err != nil {
		return err
	}
	first := size/3 + 1 // at no block's border
	second := 2*size/3 + 1
	out := bufio.NewWriterSize(to, writeSize)
	for _, part := range []io.Reader{
		io.NewSectionReader(from, 0, first),
		newMadeUp("inserted", geometry, insertedBytes),
		io.NewSectionReader(from, first, second-first),
		newMadeUp("overwritten", geometry, overwrittenBytes),
		io.NewSectionReader(from, second+overwrittenBytes, size-second-overwrittenBytes),
	} {
		if _, err := io.Copy(struct{ io.Writer }{out}, part); err != nil {
			return errors.Join(fmt.Errorf("edit the scene: %w", err), to.Close())
		}
	}
	return errors.Join(out.Flush(), to.Sync(), to.Close())
}
