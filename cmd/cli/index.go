package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"hayloft/api/client"
	"hayloft/checkout/fileindex"
)

// IndexFlag says where the local index is, which knows what files were; see package fileindex.
type IndexFlag struct {
	path string
	none bool
}

// Add declares the flags.
func (i *IndexFlag) Add(f *pflag.FlagSet) {
	f.StringVar(&i.path, "index", "", "`file` of the local index (default: in the user's cache folder)")
	f.BoolVar(&i.none, "no-index", false, "remember nothing, and read every file")
}

// Index is an open local index, or none.
type Index struct{ *fileindex.Index }

// Close closes the index.
func (x *Index) Close() error {
	if x.Index == nil {
		return nil
	}
	return x.Index.Close()
}

// OpenIndex opens the local index. One that cannot be had costs time, so that it is said; it never costs the run.
func (o *Output) OpenIndex(flag IndexFlag) (*Index, error) {
	if flag.none {
		return &Index{}, nil
	}
	path := flag.path
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			o.Say("no local index: %v; every file is read", err)
			return &Index{}, nil
		}
		path = filepath.Join(cache, "hayloft", "files.db")
	}
	x, err := fileindex.Open(path)
	switch {
	case err != nil && flag.path != "":
		return nil, fmt.Errorf("--index: %w", err)
	case err != nil:
		o.Say("no local index: %v; every file is read", err)
		return &Index{}, nil
	}
	if err := x.Damage(); err != nil {
		o.Say("the local index starts anew: %v", err)
	}
	return &Index{x}, nil
}

// LimitFlags bound what the connection to a manager carries.
type LimitFlags struct{ up, down string }

// Add declares the flags.
func (l *LimitFlags) Add(f *pflag.FlagSet) {
	f.StringVar(&l.up, "limit-up", "", "send at most `BYTES` a second, such as 5MB")
	f.StringVar(&l.down, "limit-down", "", "receive at most `BYTES` a second, such as 20MB")
}

// Options makes them what a client takes.
func (l *LimitFlags) Options() ([]client.Option, error) {
	up, err := ParseBytes(l.up)
	if err != nil {
		return nil, Usage("--limit-up: %w", err)
	}
	down, err := ParseBytes(l.down)
	if err != nil {
		return nil, Usage("--limit-down: %w", err)
	}
	return []client.Option{client.WithLimits(up, down)}, nil
}
