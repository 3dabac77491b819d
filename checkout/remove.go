package checkout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Remove deletes the checkout that [Checkouts.Create] gave that name, then the levels of its name that hold nothing
// more. There being no such checkout is no error. The name is gone at once; if deleting what was under it fails, the
// error says so, and the next [New] deletes the rest. ctx is looked at before the first change only.
//
// Errors: [ErrBadName] for a text that no checkout can be called; [ErrNotCheckout] for a level of names, something
// inside a checkout, or what is not a directory.
func (c *Checkouts) Remove(ctx context.Context, name string) error {
	components, err := parseName(name)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = c.remove(components)
	}
	if err != nil {
		return fmt.Errorf("remove the checkout: %w", err)
	}
	return nil
}

func (c *Checkouts) remove(components []string) error {
	root, err := os.OpenRoot(c.root)
	if err != nil {
		return err
	}
	defer root.Close()
	there, err := findCheckout(root, components)
	if err != nil || !there {
		return err
	}
	aside, err := c.asidePath()
	if err != nil {
		return err
	}
	name := strings.Join(components, "/")
	err = renameNoReplace(root, name, aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody else removed it first
	}
	if err != nil {
		return err
	}
	if err := c.erase(root, path.Dir(name), aside); err != nil {
		return fmt.Errorf("%q is gone, but not all of its files are; the next start deletes them: %w", name, err)
	}
	return c.removeLevels(root, components)
}

// findCheckout tells whether there is a checkout under the name.
func findCheckout(root *os.Root, components []string) (bool, error) {
	for n := 1; n <= len(components); n++ {
		path := strings.Join(components[:n], "/")
		info, err := root.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		level, err := isLevel(root, path)
		if err != nil {
			return false, err
		}
		last := n == len(components)
		switch {
		case !info.IsDir():
			return false, fmt.Errorf("%w: %q is not a directory", ErrNotCheckout, path)
		case last && level:
			return false, fmt.Errorf("%w: %q is a folder of checkouts; remove those", ErrNotCheckout, path)
		case !last && !level:
			return false, fmt.Errorf("%w: %q is a checkout itself, and %q would be a part of it",
				ErrNotCheckout, path, strings.Join(components, "/"))
		}
	}
	return true, nil
}

// erase makes durable that a directory has left parent, then deletes it from aside.
func (c *Checkouts) erase(root *os.Root, parent, aside string) error {
	if err := c.reached(stepSetAside); err != nil {
		return err
	}
	if err := syncDir(root, parent); err != nil {
		return err
	}
	if err := c.reached(stepUnnamed); err != nil {
		return err
	}
	return root.RemoveAll(aside)
}

// removeLevels removes the levels of a name that hold nothing more, the deepest first.
func (c *Checkouts) removeLevels(root *os.Root, name []string) error {
	for n := len(name) - 1; n > 0; n-- {
		if err := c.removeLevel(root, strings.Join(name[:n], "/")); err != nil {
			return err
		}
	}
	return nil
}

// removeLevel removes a level that holds nothing but its mark. The mark goes first, since only an empty directory can
// be removed in one step that fails if somebody has just put a checkout in; then the mark comes back. A Create that
// meets the level without its mark takes the name for taken and chooses another; so does every one after a crash in
// between, which leaves an empty directory.
func (c *Checkouts) removeLevel(root *os.Root, path string) error {
	// A checkout that holds one link of the mark's name is not to be taken for a level.
	if level, err := isLevel(root, path); !level {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) != 1 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := root.Remove(path + "/" + levelMark); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another Remove is at it
		}
		return err
	}
	if err := c.reached(stepUnmarked); err != nil {
		return err
	}
	if err := root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return markLevel(root, path)
	}
	return nil
}
