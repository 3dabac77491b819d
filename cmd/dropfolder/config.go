package dropfolder

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"hayloft/api/client"
	"hayloft/checkout/fileindex"
)

// Config is what [Run] needs. Dir and Manager are required; the zero value of all others is ready to use.
type Config struct {
	Dir     string // the watched folder; it must exist
	Manager *client.Client

	// Index knows the files of earlier readings, so that a folder's next version costs only what changed; nil: none.
	Index *fileindex.Index
	// Spool is a folder on this machine's own disk where archives are unpacked; empty: DIR/.hayloft. It must be used by
	// nothing else: what an earlier run left there is removed.
	Spool string
	// Quiet is how long a drop must not have changed before it is taken, since files arrive piece by piece; 0: 10 s.
	Quiet time.Duration
	// Rescan is how often the folder is looked at without being asked, since network shares do not report what other
	// machines change, and how long a failed attempt waits for the next; 0: 30 s.
	Rescan time.Duration
	// ChunkSize is how many frames a worker takes at a time; 0: one, which divides the frames among the workers in
	// proportion to their speed to within one frame each.
	ChunkSize int
	// Priority of the jobs, 0 to 100; nil: that of any job that names none.
	Priority *int
	// AllowMissing submits scenes that need files which were not dropped with them.
	AllowMissing bool
	// Limits bound archives and folders; fields that are zero have their defaults.
	Limits Limits

	Now   func() time.Time                     // [time.Now] unless set
	After func(time.Duration) <-chan time.Time // [time.After] unless set
	Log   *slog.Logger                         // nil: nobody is told
}

// Limits bound what one drop may be.
type Limits struct {
	Files    int   // members of an archive, or files of a folder; 0: 100,000
	Unpacked int64 // bytes of all members together; 0: 200 GiB
	// Ratio is how many times its own size an archive of more than RatioFrom unpacked bytes may have unpacked; 0: 200
	// times, beyond 100 MiB.
	Ratio     int64
	RatioFrom int64
}

func (l Limits) withDefaults() Limits {
	l.Files = cmp.Or(l.Files, 100_000)
	l.Unpacked = cmp.Or(l.Unpacked, 200<<30)
	l.Ratio = cmp.Or(l.Ratio, 200)
	l.RatioFrom = cmp.Or(l.RatioFrom, 100<<20)
	return l
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Dir == "":
		return c, errors.New("no folder to watch was named")
	case c.Manager == nil:
		return c, errors.New("the watched folder has no manager to send jobs to")
	case c.ChunkSize < 0:
		return c, errors.New("a worker cannot take fewer than one frame at a time")
	}
	c.Quiet = cmp.Or(c.Quiet, 10*time.Second)
	c.Rescan = cmp.Or(c.Rescan, 30*time.Second)
	c.ChunkSize = cmp.Or(c.ChunkSize, 1)
	c.Limits = c.Limits.withDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.After == nil {
		c.After = time.After
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
