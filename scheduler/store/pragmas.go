package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// pragma is a setting of a connection, and the value that must be read back.
type pragma struct{ name, value string }

// Page caches: negative is KiB. A writer and four readers stay under 64 MiB together.
const (
	writerCache = "-32768"
	readerCache = "-6144"
)

// commonPragmas hold for every connection. busy_timeout is first: switching to WAL may meet another program.
func commonPragmas(busy time.Duration) []pragma {
	return []pragma{
		{"busy_timeout", fmt.Sprint(busy.Milliseconds())},
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL: a commit is on stable storage when it returns
		{"foreign_keys", "1"},
		{"temp_store", "2"}, // MEMORY: savepoints keep their pages there
	}
}

func writerPragmas(busy time.Duration) []pragma {
	return append(commonPragmas(busy),
		pragma{"cache_size", writerCache},
		pragma{"wal_autocheckpoint", "4000"},     // pages: 16 MiB, so that a checkpoint's two fsyncs are rare
		pragma{"journal_size_limit", "67108864"}, // bytes: gives back what one huge job made of the log
	)
}

func readerPragmas(busy time.Duration) []pragma {
	return append(commonPragmas(busy), pragma{"cache_size", readerCache}, pragma{"query_only", "1"})
}

// dataSource names the file as a URI with its pragmas, so that no connection exists without them.
func dataSource(path string, pragmas []pragma, params ...string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	for _, p := range pragmas {
		params = append(params, "_pragma="+url.QueryEscape(p.name+"("+p.value+")"))
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(params, "&")}).String(), nil
}

// open connects and refuses a connection whose settings did not take.
func open(ctx context.Context, path string, pragmas []pragma, params ...string) (*conn, error) {
	dsn, err := dataSource(path, pragmas, params...)
	if err != nil {
		return nil, err
	}
	c, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := c.checkPragmas(pragmas); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) checkPragmas(pragmas []pragma) error {
	for _, p := range pragmas {
		var got string
		if err := c.one(func(r row) { got = fmt.Sprint(r[0]) }, "PRAGMA "+p.name); err != nil {
			return fmt.Errorf("read setting %s: %w", p.name, err)
		}
		if got != p.value {
			return fmt.Errorf("SQLite has %s = %s where %s is needed: does the file system support locks and shared memory? "+
				"Put the database on a local disk", p.name, got, p.value)
		}
	}
	return nil
}
