package checkout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// levelMark is an empty regular file in every directory below the root that is no checkout but a level of names: the
// "film" of a checkout "film/shot". Checkouts hold nothing but links and directories, so that no manifest can forge it.
// Without it nothing would tell a level from a checkout, and a job named "film/shot" would get into a job named "film".
const levelMark = ".level"

// takenError says which component of a name something else has.
type takenError struct {
	component int
	path      string
}

func (e *takenError) Error() string { return fmt.Sprintf("%q is taken", e.path) }

// publish gives the directory aside its name: the wanted one, or one with a suffix on the component that is taken.
func (c *Checkouts) publish(root *os.Root, aside string, wanted []string) (string, error) {
	name := slices.Clone(wanted)
	var err error
	var taken *takenError
	for range maxNames {
		if err = c.publishAs(root, aside, name); err == nil {
			return strings.Join(name, "/"), nil
		}
		// The levels made for a name that was not to be had serve nobody.
		if fault := c.removeLevels(root, name); fault != nil {
			return "", errors.Join(err, fault)
		}
		switch {
		case errors.As(err, &taken):
			suffix, fault := nameSuffix(c.random)
			if fault != nil {
				return "", fault
			}
			name[taken.component] = wanted[taken.component] + suffix
		case errors.Is(err, fs.ErrNotExist):
			// Somebody removed the last checkout of a level, and the level with it, before ours came in.
		default:
			return "", err
		}
	}
	if !errors.As(err, &taken) {
		return "", err
	}
	return "", fmt.Errorf("%w, and so were %d variants of it; choose another (%w)", ErrNameTaken, maxNames-1, err)
}

// publishAs makes the levels of name and renames aside to it. On an error aside is where it was, whole.
func (c *Checkouts) publishAs(root *os.Root, aside string, name []string) error {
	level := "."
	for i := range len(name) - 1 {
		next := strings.Join(name[:i+1], "/")
		if err := c.makeLevel(root, level, next); err != nil {
			return asTaken(err, i, next)
		}
		level = next
	}
	last := strings.Join(name, "/")
	if err := renameNoReplace(root, aside, last); err != nil {
		return asTaken(err, len(name)-1, last)
	}
	err := c.reached(stepRenamed)
	if err == nil {
		err = syncDir(root, level)
	}
	if err == nil {
		err = c.reached(stepPublished)
	}
	if err != nil {
		// Nobody knows the name yet, so that the directory under it is still ours to take back.
		return errors.Join(fmt.Errorf("make the name %q durable: %w", last, err), renameNoReplace(root, last, aside))
	}
	return nil
}

// asTaken says of an error that a name is taken, which component of the name that is.
func asTaken(err error, component int, path string) error {
	if errors.Is(err, fs.ErrExist) {
		return &takenError{component: component, path: path}
	}
	return err
}

// makeLevel makes path a level inside the level parent. That it is one already is fine; anything else there is
// fs.ErrExist. A level gets its mark before its name, so that it is never seen without.
func (c *Checkouts) makeLevel(root *os.Root, parent, path string) (err error) {
	if is, err := isLevel(root, path); is || err != nil {
		return err
	}
	aside, err := c.asidePath()
	if err != nil {
		return err
	}
	if err := root.Mkdir(aside, dirMode); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.RemoveAll(aside))
		}
	}()
	if err := markLevel(root, aside); err != nil {
		return err
	}
	if err := c.reached(stepLevel); err != nil {
		return err
	}
	err = renameNoReplace(root, aside, path)
	if errors.Is(err, fs.ErrExist) {
		// Perhaps another Create made the same level in the meantime.
		if is, _ := isLevel(root, path); is {
			return root.RemoveAll(aside)
		}
	}
	if err != nil {
		return err
	}
	return syncDir(root, parent)
}

// markLevel puts the mark into a directory, durably.
func markLevel(root *os.Root, path string) error {
	if err := root.WriteFile(path+"/"+levelMark, nil, 0o666); err != nil {
		return err
	}
	return syncDir(root, path)
}

// isLevel tells whether path is a directory, not a link to one, with the mark of a level.
func isLevel(root *os.Root, path string) (bool, error) {
	info, err := root.Lstat(path)
	if err == nil && info.IsDir() {
		info, err = root.Lstat(path + "/" + levelMark)
		if err == nil && info.Mode().IsRegular() {
			return true, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return false, nil
}
