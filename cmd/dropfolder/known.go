package dropfolder

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"hayloft/api/client"
	"hayloft/api/wire"
)

// knownJobs are the jobs at the manager that came from watched folders. Methods may be called from many goroutines.
type knownJobs struct {
	manager *client.Client
	turn    chan struct{}        // holds one token; whoever took it uses what follows
	byKey   map[string]uuid.UUID // nil: they have to be asked for
}

func newKnownJobs(manager *client.Client) *knownJobs {
	k := &knownJobs{manager: manager, turn: make(chan struct{}, 1)}
	k.turn <- struct{}{}
	return k
}

// change lets edit use the jobs while nobody else does.
func (k *knownJobs) change(ctx context.Context, edit func() error) error {
	select {
	case <-k.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { k.turn <- struct{}{} }()
	return edit()
}

// find looks for the job of a version at the manager.
func (k *knownJobs) find(ctx context.Context, key string) (job uuid.UUID, ok bool, err error) {
	err = k.change(ctx, func() error {
		if k.byKey == nil {
			if k.byKey, err = k.list(ctx); err != nil {
				return err
			}
		}
		job, ok = k.byKey[key]
		return nil
	})
	if err != nil || !ok {
		return job, false, err
	}
	found, err := k.manager.Job(ctx, job)
	// A version that came back after it was replaced is to be rendered after all.
	canceled := found.Status == wire.JobStatusCanceled || found.Status == wire.JobStatusCancelRequested
	if errors.Is(err, client.ErrNotFound) || err == nil && canceled {
		return job, false, k.change(ctx, func() error { delete(k.byKey, key); return nil })
	}
	return job, err == nil, err
}

func (k *knownJobs) list(ctx context.Context) (map[string]uuid.UUID, error) {
	all, err := k.manager.Jobs(ctx, 0, uuid.Nil)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]uuid.UUID)
	for _, j := range all {
		if j.Metadata == nil {
			continue
		}
		// The newest comes first, and is the one that counts.
		if key := (*j.Metadata)[metadataKey]; key != "" && byKey[key] == uuid.Nil {
			byKey[key] = j.Id
		}
	}
	return byKey, nil
}

// add takes note of a job that was submitted.
func (k *knownJobs) add(ctx context.Context, key string, job uuid.UUID) error {
	return k.change(ctx, func() error {
		if k.byKey != nil {
			k.byKey[key] = job
		}
		return nil
	})
}

// forget has all jobs asked for again.
func (k *knownJobs) forget(ctx context.Context) error {
	return k.change(ctx, func() error { k.byKey = nil; return nil })
}
