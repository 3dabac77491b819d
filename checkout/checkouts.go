package checkout

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hayloft/cas"
)

// Blobs is what checkouts need of a store: which blobs it holds, and where the file of each lies.
type Blobs interface {
	cas.Stater
	// Path gives the absolute path of the file that is the blob, whether it is stored or not.
	Path(cas.Digest) string
	// Shape sees to it that the file of each of the blobs exists, and counts those that this call made, on an error
	// too. They are whole under their names but not forced to stable storage. [cas.ErrNotFound] names what lacks.
	Shape(ctx context.Context, blobs []cas.Blob) (made int, err error)
}

const (
	// buildingDir holds directories that are being built or deleted. It lies below the root, so that a rename gets
	// them out and in. What is in it when a process starts was left by a crash.
	buildingDir = ".building"
	// maxNames is how many names Create tries for one checkout: the wanted one, then random variants.
	maxNames = 11
	// dirMode leaves it to the umask who besides the manager may write; everybody's workers must read.
	dirMode fs.FileMode = 0o777
)

// Checkouts are the directories below one root that show manifests as links into a store. All methods may be called at
// the same time. One process owns a root; two must not.
//
// The way of a checkout to its name, and what a crash between two steps leaves:
//
//  1. The store makes the files that the links will lead to, where it has them packed. (Files of whole blobs, in doubt for
//     the store until it has looked at them.)
//  2. A directory is made in .building. (A stray directory there, cleared by the next New.)
//  3. Its folders and links are made. (The same.)
//  4. The files of step 1, then all of step 3, are made durable. (The same.)
//  5. It is renamed to its name, which must be free. (The checkout, or the stray directory: a rename is whole or not.)
//  6. The folder that holds the name is made durable; Create returns. (The checkout.)
//
// Deleting goes the other way: renamed into .building, made durable, emptied.
type Checkouts struct {
	root   string // absolute, without symbolic links
	shared string // absolute; a path below it is reached from the root by "../"; empty if there is no such folder
	blobs  Blobs
	random io.Reader
	shapes shapes
	// atStep is called after each step that a crash may follow; its error counts as the step's. Nil outside tests.
	atStep func(step) error
}

// step names the moments at which a crash or a fault is worth a test.
type step string

const (
	stepAside     step = "aside made"
	stepLinked    step = "links made"
	stepShaped    step = "files durable"
	stepSynced    step = "links durable"
	stepLevel     step = "level made"
	stepRenamed   step = "renamed to its name"
	stepPublished step = "name durable"
	stepSetAside  step = "renamed away"
	stepUnnamed   step = "name durably gone"
	stepUnmarked  step = "level no longer marked"
)

// Option changes how [New] builds a Checkouts.
type Option func(*Checkouts)

// WithRandom takes the random bytes of name suffixes and of temporary names from r instead of crypto/rand. Calls of Read
// may come at the same time.
func WithRandom(r io.Reader) Option { return func(c *Checkouts) { c.random = r } }

// New opens the root, which is SHARED/jobs on a farm's shared storage; it is made if need be. Whatever a crash left half
// built or half deleted is cleared. Links are relative to the root's parent wherever the store lies below that, so that
// workers may mount SHARED anywhere.
func New(root string, blobs Blobs, options ...Option) (*Checkouts, error) {
	c := &Checkouts{blobs: blobs, random: rand.Reader, shapes: shapes{made: 1}}
	for _, option := range options {
		option(c)
	}
	if err := c.open(root); err != nil {
		return nil, fmt.Errorf("open the checkouts in %q: %w", root, spaceError(err))
	}
	return c, nil
}

func (c *Checkouts) open(root string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, buildingDir), dirMode); err != nil {
		return err
	}
	if c.root, err = filepath.EvalSymlinks(root); err != nil {
		return err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(root))
	if err != nil {
		return err
	}
	// The system follows ".." from where a link really lies. If the root itself is a symbolic link, that is not the
	// folder in which people see it.
	if filepath.Dir(c.root) == parent {
		c.shared = filepath.Dir(root)
	}
	return c.clearLeftovers()
}

func (c *Checkouts) clearLeftovers() error {
	dir, err := os.OpenRoot(filepath.Join(c.root, buildingDir))
	if err != nil {
		return err
	}
	defer dir.Close()
	leftovers, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, leftover := range leftovers {
		if err := dir.RemoveAll(leftover.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Path gives the absolute path of the checkout of that name.
func (c *Checkouts) Path(name string) (string, error) {
	if _, err := parseName(name); err != nil {
		return "", err
	}
	return filepath.Join(c.root, filepath.FromSlash(name)), nil
}

// Create lays out m as a directory of links and gives its name, relative to the root with forward slashes. The name is
// wanted as far as a directory can have it ("a: b?" becomes "a_ b_", and nothing at all becomes "job"); slashes make
// folders. A taken name gets "-" and four random characters.
//
// Errors: [*MissingBlobsError] if the store lacks blobs; [ErrNameTaken]; [cas.ErrNoSpace]; ctx's. On an error there is
// nothing new under the root, and nothing that was there has changed.
func (c *Checkouts) Create(ctx context.Context, wanted string, m Manifest) (string, error) {
	clean := cleanName(wanted)
	name, err := c.create(ctx, strings.Split(clean, "/"), m)
	if err != nil {
		return "", fmt.Errorf("check out %d files as %q: %w", m.Len(), clean, spaceError(err))
	}
	return name, nil
}

func (c *Checkouts) create(ctx context.Context, wanted []string, m Manifest) (_ string, err error) {
	if err := c.checkBlobs(ctx, m); err != nil {
		return "", err
	}
	made, err := c.shape(ctx, m)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(c.root)
	if err != nil {
		return "", err
	}
	defer root.Close()
	aside, err := c.makeAside(root)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.RemoveAll(aside))
		}
	}()
	if err := c.build(ctx, root, aside, len(wanted), m, made); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return c.publish(root, aside, wanted)
}

// checkBlobs asks the store once for all blobs of m.
func (c *Checkouts) checkBlobs(ctx context.Context, m Manifest) error {
	blobs := m.Blobs()
	missing := make(map[cas.Blob]struct{}, len(blobs))
	for _, b := range blobs {
		missing[b] = struct{}{}
	}
	err := c.blobs.Stat(ctx, blobs, func(b cas.Blob) error {
		delete(missing, b)
		return nil
	})
	if err != nil {
		return fmt.Errorf("ask the store for %d blobs: %w", len(blobs), err)
	}
	if len(missing) == 0 {
		return nil
	}
	lack := &MissingBlobsError{}
	for _, e := range m.entries {
		if _, ok := missing[e.Blob]; !ok {
			continue
		}
		lack.Total++
		if len(lack.First) < shown {
			lack.First = append(lack.First, e)
		}
	}
	return lack
}

// makeAside makes a new directory in .building and gives its path below the root.
func (c *Checkouts) makeAside(root *os.Root) (string, error) {
	aside, err := c.asidePath()
	if err != nil {
		return "", err
	}
	if err := root.Mkdir(aside, dirMode); err != nil {
		return "", err
	}
	if err := c.reached(stepAside); err != nil {
		return "", errors.Join(err, root.Remove(aside))
	}
	return aside, nil
}

// asidePath chooses a path in .building that nobody else has: 64 random bits.
func (c *Checkouts) asidePath() (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(c.random, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return buildingDir + "/" + hex.EncodeToString(b[:]), nil
}

func (c *Checkouts) reached(s step) error {
	if c.atStep == nil {
		return nil
	}
	return c.atStep(s)
}
