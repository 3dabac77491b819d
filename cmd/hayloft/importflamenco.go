package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"hayloft/cas"
	"hayloft/cas/disk"
	"hayloft/cmd/cli"
)

// flamencoManager is what is taken from flamenco-manager.yaml (fact sheet, section 11).
type flamencoManager struct {
	Meta struct {
		Version int `yaml:"version"`
	} `yaml:"_meta"`
	Name          string `yaml:"manager_name"`
	Listen        string `yaml:"listen"`
	Discoverable  *bool  `yaml:"autodiscoverable"`
	SharedStorage string `yaml:"shared_storage_path"`
	Shaman        struct {
		Enabled *bool `yaml:"enabled"`
	} `yaml:"shaman"`
	TaskTimeout   string `yaml:"task_timeout"`
	WorkerTimeout string `yaml:"worker_timeout"`
	BlockAfter    int    `yaml:"blocklist_threshold"`
	Attempts      int    `yaml:"task_fail_after_softfail_count"`
	MQTT          struct {
		Client struct {
			Enabled  bool   `yaml:"enabled"`
			Broker   string `yaml:"broker"`
			ClientID string `yaml:"clientID"`
			Prefix   string `yaml:"topic_prefix"`
			Username string `yaml:"username"`
			Password string `yaml:"password"`
		} `yaml:"client"`
	} `yaml:"mqtt"`
	Variables map[string]cli.VariableConfig `yaml:"variables"`
}

// flamencoWorker is what is taken from flamenco-worker.yaml.
type flamencoWorker struct {
	Name        string   `yaml:"worker_name"`
	ManagerURL  string   `yaml:"manager_url"`
	TaskTypes   []string `yaml:"task_types"`
	RestartCode int      `yaml:"restart_exit_code"`
}

// imported is what `hayloft import-flamenco` did.
type imported struct {
	Config   string `json:"config"`
	Storage  string `json:"storage,omitempty"`
	JobTypes int    `json:"job_types"`
	Blobs    int    `json:"blobs"`
	Bytes    int64  `json:"bytes"`
	Known    int    `json:"blobs_known"`
	Damaged  int    `json:"blobs_damaged"`
}

func (a *app) importFlamencoCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "import-flamenco DIR", Short: "Take over a Flamenco 3 farm: settings, variables, job types, uploaded files", Args: exactly("the folder of flamenco-manager.yaml or flamenco-worker.yaml"),
		Long: "Take over a Flamenco 3 farm. Settings and variables become DATA/hayloft.yaml, the job types in DIR/scripts become\n" +
			"DATA/job-types, and the files of its Shaman store get a second name in the asset store, without being copied, after\n" +
			"their content was checked. Nothing of the old farm is changed or removed; running it again takes over what is new.\n" +
			"Stop the old manager first, then start the new one with: hayloft manager --data DATA",
		Example: cli.Examples("hayloft import-flamenco /opt/flamenco --data /srv/hayloft"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importFlamenco(cmd.Context(), args[0], data)
		},
	}
	cmd.Flags().StringVar(&data, "data", "hayloft-data", "`folder` of the new manager or worker")
	return cmd
}

func (a *app) importFlamenco(ctx context.Context, dir, data string) error {
	manager, managerErr := readFlamenco[flamencoManager](filepath.Join(dir, "flamenco-manager.yaml"))
	worker, workerErr := readFlamenco[flamencoWorker](filepath.Join(dir, "flamenco-worker.yaml"))
	switch {
	case errors.Is(managerErr, fs.ErrNotExist) && errors.Is(workerErr, fs.ErrNotExist):
		return cli.Usage("%s has neither flamenco-manager.yaml nor flamenco-worker.yaml; name the folder of the old manager or worker", dir)
	case managerErr != nil && !errors.Is(managerErr, fs.ErrNotExist):
		return managerErr
	case workerErr != nil && !errors.Is(workerErr, fs.ErrNotExist):
		return workerErr
	case managerErr == nil && manager.Meta.Version != 3:
		return cli.Usage("%s: _meta.version is %d; only version 3 is known", filepath.Join(dir, "flamenco-manager.yaml"), manager.Meta.Version)
	}
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	result := imported{Config: filepath.Join(data, configFileName)}
	config := make(map[string]any)
	if workerErr == nil {
		config["worker"] = workerSection(worker, data)
	}
	if managerErr == nil {
		if err := a.importManager(ctx, manager, dir, data, config, &result); err != nil {
			return err
		}
	}
	if err := writeConfig(result.Config, config); err != nil {
		return err
	}
	return a.printImported(result)
}

func readFlamenco[T any](path string) (T, error) {
	var config T
	text, err := os.ReadFile(path)
	if err != nil {
		return config, err
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return config, cli.Usage("%s: %w", path, err)
	}
	return config, nil
}

func workerSection(w flamencoWorker, data string) map[string]any {
	section := map[string]any{"data": filepath.Join(data, "worker")}
	if w.Name != "" {
		section["name"] = w.Name
	}
	if w.ManagerURL != "" {
		section["manager"] = w.ManagerURL
	} else {
		section["find-manager"] = "true"
	}
	if len(w.TaskTypes) > 0 {
		section["task-types"] = strings.Join(w.TaskTypes, ",")
	}
	if w.RestartCode != 0 {
		section["restartable"] = "true"
	}
	return section
}

func (a *app) importManager(ctx context.Context, m flamencoManager, dir, data string, config map[string]any, result *imported) error {
	section, err := managerSection(m, dir, data)
	if err != nil {
		return err
	}
	types, err := copyJobTypes(filepath.Join(dir, "scripts"), filepath.Join(data, "job-types"))
	if err != nil {
		return err
	}
	if types > 0 {
		section["job-types"] = filepath.Join(data, "job-types")
	}
	result.JobTypes = types
	if storage, ok := section["storage"]; ok {
		result.Storage = storage.(string)
		if err := a.adoptShaman(ctx, result.Storage, result); err != nil {
			return err
		}
	}
	a.Say("as the old one did, the new manager takes jobs from everybody who reaches %s", section["listen"])
	config["manager"] = section
	if len(m.Variables) > 0 {
		config["variables"] = m.Variables
	}
	return nil
}

// managerSection translates settings; what the new manager's defaults already say is left out.
func managerSection(m flamencoManager, dir, data string) (map[string]any, error) {
	// The old farm took jobs from everybody who reached it, and its workers and artists go on doing so.
	section := map[string]any{"data": data, "listen": cmp.Or(m.Listen, ":8080"), "trusted-network": "true"}
	if m.Name != "" {
		section["name"] = m.Name
	}
	if m.SharedStorage != "" {
		storage := m.SharedStorage
		if !filepath.IsAbs(storage) {
			storage = filepath.Join(dir, storage)
		}
		absolute, err := filepath.Abs(storage)
		if err != nil {
			return nil, err
		}
		section["storage"] = absolute
	}
	if m.Shaman.Enabled != nil && !*m.Shaman.Enabled {
		section["shaman"] = "false"
	}
	section["discoverable"] = strconv.FormatBool(m.Discoverable == nil || *m.Discoverable)
	for key, text := range map[string]string{"task-timeout": m.TaskTimeout, "worker-timeout": m.WorkerTimeout} {
		if text == "" {
			continue
		}
		if _, err := time.ParseDuration(text); err != nil {
			return nil, cli.Usage("flamenco-manager.yaml: %s: %w", key, err)
		}
		section[key] = text
	}
	for key, n := range map[string]int{"block-after": m.BlockAfter, "task-attempts": m.Attempts} {
		if n > 0 {
			section[key] = strconv.Itoa(n)
		}
	}
	if c := m.MQTT.Client; c.Enabled {
		section["mqtt-broker"], section["mqtt-client-id"] = c.Broker, cmp.Or(c.ClientID, "flamenco")
		section["mqtt-topic-prefix"], section["mqtt-username"] = cmp.Or(c.Prefix, "flamenco"), c.Username
		section["mqtt-password"] = c.Password
	}
	return section, nil
}

// copyJobTypes copies the farm's own scripts; none is no error.
func copyJobTypes(from, to string) (int, error) {
	scripts, err := filepath.Glob(filepath.Join(from, "*.js"))
	if err != nil || len(scripts) == 0 {
		return 0, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return 0, err
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(script)), text, 0o644); err != nil {
			return 0, err
		}
	}
	return len(scripts), nil
}

// adoptShaman gives the files of a Shaman store (fact sheet, section 14) a second name in the asset store.
func (a *app) adoptShaman(ctx context.Context, storage string, result *imported) error {
	stored := filepath.Join(storage, "file-store", "stored")
	if _, err := os.Stat(stored); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	root := filepath.Join(storage, "blobs")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	store, err := disk.Open(root)
	if err != nil {
		return err
	}
	a.Say("reading the uploaded files of the old farm in %s", stored)
	err = filepath.WalkDir(stored, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		blob, err := shamanBlob(stored, path)
		if err != nil {
			result.Damaged++
			a.Say("left out: %v", err)
			return nil
		}
		return a.adopt(ctx, store, path, blob, result)
	})
	return errors.Join(err, store.Close())
}

func (a *app) adopt(ctx context.Context, store *disk.Store, path string, blob cas.Blob, result *imported) error {
	known, err := store.Adopt(ctx, path, blob)
	switch {
	case errors.Is(err, cas.ErrDigestMismatch) || errors.Is(err, cas.ErrSizeMismatch):
		result.Damaged++
		a.Say("left out: %v", err)
		return nil
	case err != nil:
		return err
	case known:
		result.Known++
	}
	result.Blobs++
	result.Bytes += blob.Size
	return nil
}

// shamanBlob reads a blob's identity from its place: stored/<first 2>/<other 62>/<size>.blob.
func shamanBlob(stored, path string) (cas.Blob, error) {
	place, err := filepath.Rel(stored, path)
	if err != nil {
		return cas.Blob{}, err
	}
	parts := strings.Split(filepath.ToSlash(place), "/")
	if len(parts) != 3 || !strings.HasSuffix(parts[2], ".blob") {
		return cas.Blob{}, fmt.Errorf("%s is no file of a Shaman store", path)
	}
	digest, err := cas.ParseDigest(parts[0] + parts[1])
	if err != nil {
		return cas.Blob{}, fmt.Errorf("%s: %w", path, err)
	}
	size, err := strconv.ParseInt(strings.TrimSuffix(parts[2], ".blob"), 10, 64)
	if err != nil || size < 0 {
		return cas.Blob{}, fmt.Errorf("%s: its name is not a size", path)
	}
	return cas.Blob{Digest: digest, Size: size}, nil
}

// writeConfig writes the file anew and durably, readable by its owner only: it may hold a password.
func writeConfig(path string, config map[string]any) error {
	text, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name durable, where the system can sync a folder.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if runtime.GOOS == "windows" {
		err = nil
	}
	return errors.Join(err, folder.Close())
}

func (a *app) printImported(r imported) error {
	if a.JSON {
		return a.PrintJSON(r)
	}
	lines := []string{"settings: " + r.Config}
	if r.JobTypes > 0 {
		lines = append(lines, fmt.Sprintf("job types: %d", r.JobTypes))
	}
	if r.Storage != "" {
		lines = append(lines, fmt.Sprintf("uploaded files: %d, %s; %d of them were known, %d damaged", r.Blobs, cli.BytesText(r.Bytes), r.Known, r.Damaged))
	}
	lines = append(lines, "start with: hayloft manager --data "+filepath.Dir(r.Config))
	_, err := fmt.Fprintln(a.Stdout, strings.Join(slices.Compact(lines), "\n"))
	return err
}
