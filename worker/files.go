package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hayloft/worker/frame"
)

func makeDirectory(_ context.Context, x *execution, p params) error {
	path, err := p.text("path")
	if err != nil {
		return err
	}
	x.logf("making directory %s", path)
	if err := os.MkdirAll(path, 0o775); err != nil {
		return fmt.Errorf("the directory cannot be made: %w", err)
	}
	x.report.progress(p.stepCount())
	return nil
}

func moveDirectory(_ context.Context, x *execution, p params) error {
	src, err := p.text("src")
	if err != nil {
		return err
	}
	dest, err := p.text("dest")
	if err != nil {
		return err
	}
	src, dest = filepath.Clean(src), filepath.Clean(dest)
	info, err := os.Stat(src)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the directory to move, %s, does not exist", src)
	case err != nil:
		return fmt.Errorf("look at the directory to move: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", src)
	}
	if err := setAside(x, dest); err != nil {
		return err
	}
	x.logf("moving %s to %s", src, dest)
	if err := os.MkdirAll(filepath.Dir(dest), 0o775); err != nil {
		return fmt.Errorf("make the parent of %s: %w", dest, err)
	}
	if err := os.Rename(src, dest); err != nil {
		return fmt.Errorf("move the directory: %w", err)
	}
	x.report.progress(p.stepCount())
	return nil
}

// setAside renames what is at a path after its time of change.
func setAside(x *execution, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the destination: %w", err)
	}
	stamped := path + "-" + info.ModTime().Format("2006-01-02_150405")
	for n, name := 1, stamped; n < 1000; n++ {
		taken, err := exists(name)
		if err != nil {
			return fmt.Errorf("look for a free name beside the destination: %w", err)
		}
		if !taken {
			x.logf("%s exists; renaming it to %s", path, name)
			if err := os.Rename(path, name); err != nil {
				return fmt.Errorf("set the destination aside: %w", err)
			}
			return nil
		}
		name = fmt.Sprintf("%s-%03d", stamped, n)
	}
	return fmt.Errorf("%s exists and so do all names to set it aside, up to %s-999; remove some", path, stamped)
}

func copyFile(ctx context.Context, x *execution, p params) error {
	src, err := p.text("src")
	if err != nil {
		return err
	}
	dest, err := p.text("dest")
	if err != nil {
		return err
	}
	for _, path := range []string{src, dest} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q is not an absolute path", path)
		}
	}
	info, err := os.Stat(src)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the file to copy, %s, does not exist", src)
	case err != nil:
		return fmt.Errorf("look at the file to copy: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", src)
	}
	if taken, err := exists(dest); err != nil || taken {
		return errors.Join(err, fmt.Errorf("the destination %s exists already; nothing was copied", dest))
	}
	x.logf("copying %s to %s", src, dest)
	if err := os.MkdirAll(filepath.Dir(dest), 0o750); err != nil {
		return fmt.Errorf("make the parent of %s: %w", dest, err)
	}
	if err := frame.Copy(ctx, src, dest); err != nil {
		return fmt.Errorf("copy the file: %w", err)
	}
	x.report.progress(p.stepCount())
	return nil
}
