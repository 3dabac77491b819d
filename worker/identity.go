package worker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/uuid"

	"hayloft/api/wire"
)

const credentialsFile = "credentials.json"

// credentials are what a worker proves itself with: the id that the manager gave it and the secret that it chose.
type credentials struct {
	ID     uuid.UUID `json:"worker_id"`
	Secret string    `json:"secret"`
}

// loadCredentials gives nil when the worker never registered.
func loadCredentials(dir string) (*credentials, error) {
	path := filepath.Join(dir, credentialsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the worker's credentials: %w", err)
	}
	var c credentials
	if err := json.Unmarshal(text, &c); err != nil || c.ID == uuid.Nil || c.Secret == "" {
		return nil, fmt.Errorf("the worker's credentials in %s cannot be read; remove the file to register as a new worker", path)
	}
	return &c, nil
}

func (c *credentials) save(dir string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("save the worker's credentials: %w", err)
	}
	if err := writeDurably(filepath.Join(dir, credentialsFile), text); err != nil {
		return fmt.Errorf("save the worker's credentials: %w", err)
	}
	return nil
}

// writeDurably replaces a file (mode 0600) as a whole: temporary file, sync, rename, sync of the directory.
func writeDurably(path string, data []byte) (err error) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path + ".tmp")
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be flushed there; NTFS journals the rename
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// signOn makes the worker known and gives the state that the manager wants it in. What an earlier run could not deliver
// goes first: a manager may queue the tasks of a worker that signs on again.
func (a *Agent) signOn(ctx context.Context) (wire.WorkerStatus, error) {
	fresh := false
	for {
		if a.upstream.creds.Load() == nil {
			if err := a.register(ctx); err != nil {
				return "", err
			}
			fresh = true
		}
		if err := a.courier.drain(ctx); err != nil {
			return "", err
		}
		abilities, err := a.abilities(ctx)
		if err != nil {
			return "", err
		}
		status, err := a.trySignOn(ctx, abilities)
		if err == nil || fresh || !errors.Is(err, errUnknownWorker) {
			return status, err
		}
		a.log.Warn("the manager does not know this worker any more; registering as a new one", "worker", a.upstream.creds.Load().ID)
		a.upstream.creds.Store(nil)
	}
}

func (a *Agent) trySignOn(ctx context.Context, abilities *[]string) (status wire.WorkerStatus, err error) {
	form := wire.WorkerSignOn{Name: a.cfg.Name, SupportedTaskTypes: a.cfg.TaskTypes, SoftwareVersion: a.cfg.Software,
		CanRestart: &a.cfg.CanRestart, Tags: a.tags(), Abilities: abilities, Performance: &a.cfg.Performance}
	err = a.persist(ctx, func(ctx context.Context) error {
		status, err = a.registry.SignOn(ctx, form)
		return err
	})
	return status, err
}

func (a *Agent) register(ctx context.Context) error {
	c := &credentials{Secret: rand.Text() + rand.Text()}
	form := wire.WorkerRegistration{Name: a.cfg.Name, Secret: c.Secret, Platform: runtime.GOOS, SupportedTaskTypes: a.cfg.TaskTypes,
		Tags: a.tags(), Performance: &a.cfg.Performance}
	err := a.persist(ctx, func(ctx context.Context) (err error) {
		c.ID, err = a.registry.Register(ctx, form)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.save(a.cfg.DataDir); err != nil {
		return err
	}
	a.log.Info("registered at the manager", "worker", c.ID, "name", a.cfg.Name)
	a.upstream.creds.Store(c)
	return nil
}

// tags gives nil, which leaves the member out and the manager's own tags alone, when none are configured.
func (a *Agent) tags() *[]string {
	if a.cfg.Tags == nil {
		return nil
	}
	return &a.cfg.Tags
}
