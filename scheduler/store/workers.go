package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"hayloft/scheduler"
)

const workerColumns = `w.uuid, w.name, w.address, w.platform, w.software, w.task_types, w.can_restart, w.status,
	w.requested, w.requested_lazy, w.created, w.updated, w.last_seen, w.secret_hash,
	(SELECT group_concat(hex(g.uuid), '') FROM worker_tags wt JOIN tags g ON g.id = wt.tag WHERE wt.worker = w.id),
	w.schedule, w.abilities, w.performance`

func (t readTx) workers(text string, args ...any) (workers []scheduler.Worker, err error) {
	err = t.each(func(r row) error {
		w, err := worker(r)
		workers = append(workers, w)
		return err
	}, `SELECT `+workerColumns+` FROM workers w `+text, args...)
	return workers, err
}

// worker reads workerColumns.
func worker(r row) (scheduler.Worker, error) {
	w := scheduler.Worker{
		ID: scheduler.WorkerID{UUID: r.uuid(0)}, Name: r.text(1), Address: r.text(2), Platform: r.text(3), Software: r.text(4),
		CanRestart: r.bool(6), Status: scheduler.WorkerStatus(r.text(7)), Requested: scheduler.WorkerStatus(r.text(8)),
		RequestedLazy: r.bool(9), Created: r.time(10), Updated: r.time(11), LastSeen: r.time(12), SecretHash: r.bytes(13),
		Performance: r.float64(17),
	}
	if err := json.Unmarshal([]byte(r.text(5)), &w.TaskTypes); err != nil {
		return w, fmt.Errorf("task types of worker %s: %w", w.ID, err)
	}
	if text := r.text(15); text != "" {
		w.Schedule = new(scheduler.Schedule)
		if err := json.Unmarshal([]byte(text), w.Schedule); err != nil {
			return w, fmt.Errorf("schedule of worker %s: %w", w.ID, err)
		}
	}
	var err error
	if w.Abilities, err = textList(r.text(16)); err != nil {
		return w, fmt.Errorf("abilities of worker %s: %w", w.ID, err)
	}
	const hexDigits = 32
	for tags := r.text(14); len(tags) >= hexDigits; tags = tags[hexDigits:] {
		tag, err := uuid.Parse(tags[:hexDigits])
		if err != nil {
			return w, fmt.Errorf("tags of worker %s: %w", w.ID, err)
		}
		w.Tags = append(w.Tags, scheduler.TagID{UUID: tag})
	}
	return w, nil
}

// textList decodes a JSON list of texts; no text is no list.
func textList(text string) (list []string, err error) {
	if text == "" {
		return nil, nil
	}
	return list, json.Unmarshal([]byte(text), &list)
}

func (t readTx) Worker(id scheduler.WorkerID) (scheduler.Worker, error) {
	workers, err := t.workers(`WHERE w.uuid = ?1 AND w.deleted IS NULL`, key(id))
	if err == nil && len(workers) == 0 {
		err = scheduler.ErrNotFound
	}
	if err != nil {
		return scheduler.Worker{}, named("worker", id, err)
	}
	return workers[0], nil
}

func (t readTx) Workers() ([]scheduler.Worker, error) {
	workers, err := t.workers(`WHERE w.deleted IS NULL ORDER BY w.name, w.id`)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	return workers, nil
}

// workerRow gives the number of a worker's row, also of a worker that was deleted.
func (t readTx) workerRow(id scheduler.WorkerID) (int64, error) {
	n, err := t.number(`SELECT id FROM workers WHERE uuid = ?1`, key(id))
	return n, named("worker", id, err)
}

// PutWorker implements [scheduler.Tx]. Created and Updated are the transaction's time. A worker that was deleted is
// [scheduler.ErrNotFound].
func (t *tx) PutWorker(w scheduler.Worker) error {
	types := w.TaskTypes
	if types == nil {
		types = []string{}
	}
	typesJSON, err := json.Marshal(types)
	if err != nil {
		return named("worker", w.ID, err)
	}
	var schedule any
	if w.Schedule != nil {
		text, err := json.Marshal(w.Schedule)
		if err != nil {
			return named("worker", w.ID, err)
		}
		schedule = string(text)
	}
	var abilities any
	if w.Abilities != nil {
		text, err := json.Marshal(w.Abilities)
		if err != nil {
			return named("worker", w.ID, err)
		}
		abilities = string(text)
	}
	err = t.mustChange(`
		INSERT INTO workers (uuid, name, address, platform, software, task_types, can_restart, status, requested,
			requested_lazy, created, updated, secret_hash, schedule, abilities, performance)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14, coalesce(nullif(?15, 0.0), 1.0))
		ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, address = excluded.address, platform = excluded.platform,
			software = excluded.software, task_types = excluded.task_types, can_restart = excluded.can_restart,
			status = excluded.status, requested = excluded.requested, requested_lazy = excluded.requested_lazy,
			updated = excluded.updated, secret_hash = excluded.secret_hash, schedule = excluded.schedule,
			abilities = excluded.abilities, performance = excluded.performance
		WHERE deleted IS NULL`,
		key(w.ID), w.Name, w.Address, w.Platform, w.Software, string(typesJSON), w.CanRestart, string(w.Status),
		string(w.Requested), w.RequestedLazy, stamp(t.at), w.SecretHash, schedule, abilities, w.Performance)
	return named("worker", w.ID, err)
}

func (t *tx) SetWorkerTags(id scheduler.WorkerID, tags []scheduler.TagID) error {
	worker, err := t.number(`SELECT id FROM workers WHERE uuid = ?1 AND deleted IS NULL`, key(id))
	if err != nil {
		return named("worker", id, err)
	}
	if _, err := t.exec(`DELETE FROM worker_tags WHERE worker = ?1`, worker); err != nil {
		return named("tags of worker", id, err)
	}
	for _, tag := range tags {
		_, err := t.exec(`INSERT OR IGNORE INTO worker_tags (worker, tag) SELECT ?1, id FROM tags WHERE uuid = ?2`, worker, key(tag))
		if err != nil {
			return named("tags of worker", id, err)
		}
	}
	return nil
}

// DeleteWorker implements [scheduler.Tx]. The secret and the tags go at once.
func (t *tx) DeleteWorker(id scheduler.WorkerID) error {
	if err := t.SetWorkerTags(id, nil); err != nil {
		return err
	}
	err := t.mustChange(`UPDATE workers SET deleted = ?2, updated = ?2, secret_hash = NULL WHERE uuid = ?1 AND deleted IS NULL`,
		key(id), stamp(t.at))
	return named("worker", id, err)
}

// SeeWorkers implements [scheduler.Tx]. Workers that are not there any more are passed over.
func (t *tx) SeeWorkers(at map[scheduler.WorkerID]time.Time) error {
	for id, when := range at {
		if _, err := t.exec(`UPDATE workers SET last_seen = ?2 WHERE uuid = ?1`, key(id), stamp(when)); err != nil {
			return named("worker", id, err)
		}
	}
	return nil
}

func tag(r row) scheduler.Tag {
	return scheduler.Tag{ID: scheduler.TagID{UUID: r.uuid(0)}, Name: r.text(1), Description: r.text(2)}
}

func (t readTx) Tag(id scheduler.TagID) (found scheduler.Tag, err error) {
	err = t.one(func(r row) { found = tag(r) }, `SELECT uuid, name, description FROM tags WHERE uuid = ?1`, key(id))
	return found, named("tag", id, err)
}

func (t readTx) Tags() (tags []scheduler.Tag, err error) {
	err = t.each(func(r row) error {
		tags = append(tags, tag(r))
		return nil
	}, `SELECT uuid, name, description FROM tags ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	return tags, nil
}

func (t *tx) PutTag(g scheduler.Tag) error {
	n, err := t.number(`SELECT count(*) FROM tags WHERE name = ?1 AND uuid <> ?2`, g.Name, key(g.ID))
	if err != nil {
		return named("tag", g.ID, err)
	}
	if n != 0 {
		return fmt.Errorf("tag %q: %w", g.Name, scheduler.ErrConflict)
	}
	_, err = t.exec(`
		INSERT INTO tags (uuid, name, description) VALUES (?1, ?2, ?3)
		ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, description = excluded.description`,
		key(g.ID), g.Name, g.Description)
	return named("tag", g.ID, err)
}

// DeleteTag implements [scheduler.Tx]; the schema takes the tag from workers, jobs and lanes.
func (t *tx) DeleteTag(id scheduler.TagID) error {
	return named("tag", id, t.mustChange(`DELETE FROM tags WHERE uuid = ?1`, key(id)))
}
