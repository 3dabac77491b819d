package scheduler

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
)

const saltSize = 16

// HashSecret gives what is stored of a worker's secret: a random salt and the SHA-256 of salt and secret. Secrets are
// long random strings that workers make, so a slow password hash would add cost without adding safety.
func HashSecret(secret string) ([]byte, error) {
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("no random salt: %w", err)
	}
	return saltedHash(salt, secret), nil
}

func saltedHash(salt []byte, secret string) []byte {
	sum := sha256.New()
	sum.Write(salt)
	sum.Write([]byte(secret))
	return sum.Sum(append([]byte(nil), salt...))
}

// secretMatches compares in constant time.
func secretMatches(stored []byte, secret string) bool {
	if len(stored) != saltSize+sha256.Size {
		return false
	}
	return subtle.ConstantTimeCompare(stored, saltedHash(stored[:saltSize], secret)) == 1
}

// secretCache spares a read of the database on each request of a worker. It holds one hash for each worker that was
// authenticated, so it is as small as the farm.
type secretCache struct {
	mu     sync.RWMutex
	hashes map[WorkerID][]byte
}

func newSecretCache() *secretCache { return &secretCache{hashes: make(map[WorkerID][]byte)} }

func (c *secretCache) get(id WorkerID) []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.hashes[id]
}

func (c *secretCache) put(id WorkerID, hash []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hashes[id] = hash
}

func (c *secretCache) forget(id WorkerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hashes, id)
}

// Authenticate tells by a nil error that the secret is the worker's; otherwise the error is [ErrUnauthorized]. The
// worker counts as seen.
func (s *Scheduler) Authenticate(ctx context.Context, id WorkerID, secret string) error {
	hash := s.secrets.get(id)
	if hash == nil {
		w, err := view(ctx, s, func(tx ReadTx) (Worker, error) { return tx.Worker(id) })
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("worker %s: %w", id.ShortID(), ErrUnauthorized)
		}
		if err != nil {
			return fmt.Errorf("worker %s: read its secret: %w", id.ShortID(), err)
		}
		hash = w.SecretHash
	}
	if !secretMatches(hash, secret) {
		return fmt.Errorf("worker %s: %w", id.ShortID(), ErrUnauthorized)
	}
	s.secrets.put(id, hash)
	s.presence.seen(id, s.now())
	return nil
}
