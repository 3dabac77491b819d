package intake

import (
	"context"
	"errors"
	"fmt"

	"hayloft/cas"
)

// Run ends idle sessions until ctx ends, and then lays down the open ones, so that they can be taken up after a restart.
// What earlier processes left gets a whole idle time anew. Nothing works after Run has returned.
func (i *Intake) Run(ctx context.Context) error {
	for {
		if err := i.sweep(ctx); err != nil && ctx.Err() == nil {
			i.config.Failed(cas.Blob{}, fmt.Errorf("look for idle uploads: %w", err))
		}
		select {
		case <-ctx.Done():
			return i.layDown()
		case <-i.config.Clock.After(i.config.IdleTimeout / sweepsPerAge):
		}
	}
}

// sweep takes note of what is left over in the store, and removes every session in which nothing came for too long.
func (i *Intake) sweep(ctx context.Context) error {
	left, err := i.depot.Assemblies(ctx)
	if err != nil {
		return err
	}
	i.noteLeft(left)
	for ctx.Err() == nil {
		i.mu.Lock()
		now := i.config.Clock.Elapsed()
		idle := i.table.victim(func(s *session) bool { return s.removable(now, i.config.IdleTimeout) })
		if idle == nil {
			i.mu.Unlock()
			return nil
		}
		idle.seize()
		i.mu.Unlock()
		i.discard(idle)
	}
	return ctx.Err()
}

// noteLeft adds what no session works on, as if it had been touched just now.
func (i *Intake) noteLeft(blobs []cas.Blob) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, blob := range blobs {
		i.table.noteLeft(blob, i.config.Clock.Elapsed())
	}
}

// discard removes what came in a session that the caller holds, and lets go of it.
func (i *Intake) discard(s *session) {
	var err error
	if s.assembly != nil {
		s.assembly.Abort()
	} else if err = i.depot.DropAssembly(s.blob.Digest); errors.Is(err, cas.ErrNotFound) {
		err = nil // it was committed or aborted between the list and now
	}
	if err != nil {
		i.config.Failed(s.blob, fmt.Errorf("remove what is left of the upload of %v: %w", s.blob, err))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	s.touched = i.config.Clock.Elapsed() // so that a failure is not repeated at once
	if err == nil {
		i.table.remove(s)
	}
	s.letGo()
}

// layDown closes the table, and then every session as soon as nobody works on it.
func (i *Intake) layDown() error {
	i.die()
	i.mu.Lock()
	i.table.closed = true
	open := make([]*session, 0, len(i.table.sessions))
	for _, s := range i.table.sessions {
		open = append(open, s)
	}
	i.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, i.layDownOne(s))
	}
	return errors.Join(errs...)
}

// layDownOne waits for work on the disk alone: who holds or uses a session is not waiting for a client.
func (i *Intake) layDownOne(s *session) error {
	i.mu.Lock()
	for s.held != nil {
		held := s.held
		i.mu.Unlock()
		<-held
		i.mu.Lock()
	}
	if s.gone {
		i.mu.Unlock()
		return nil
	}
	if unused := s.seize(); unused != nil {
		i.mu.Unlock()
		<-unused
	} else {
		i.mu.Unlock()
	}
	err := s.assembly.Close()
	i.release(s, true)
	if err != nil {
		return fmt.Errorf("lay down the upload of %v: %w", s.blob, err)
	}
	return nil
}
