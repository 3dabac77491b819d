-- Times are microseconds since 1970 UTC. Ids from outside are UUIDs of 16 bytes; inside, rows name each other by number.

-- +goose Up
CREATE TABLE tags (
    id          INTEGER PRIMARY KEY,
    uuid        BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL
) STRICT;

CREATE TABLE workers (
    id             INTEGER PRIMARY KEY,
    uuid           BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
    name           TEXT NOT NULL,
    address        TEXT NOT NULL,
    platform       TEXT NOT NULL,
    software       TEXT NOT NULL,
    task_types     TEXT NOT NULL CHECK (json_valid(task_types)),
    can_restart    INTEGER NOT NULL CHECK (can_restart IN (0, 1)),
    status         TEXT NOT NULL
        CHECK (status IN ('starting', 'awake', 'asleep', 'error', 'testing', 'offline', 'restart')),
    requested      TEXT NOT NULL
        CHECK (requested IN ('', 'starting', 'awake', 'asleep', 'error', 'testing', 'offline', 'restart')),
    requested_lazy INTEGER NOT NULL CHECK (requested_lazy IN (0, 1)),
    created        INTEGER NOT NULL,
    updated        INTEGER NOT NULL,
    last_seen      INTEGER,
    secret_hash    BLOB,
    deleted        INTEGER -- when; the row stays, since tasks, failure lists and blocklists go on naming it
) STRICT;

CREATE TABLE worker_tags (
    worker INTEGER NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    tag    INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (worker, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX worker_tags_by_tag ON worker_tags (tag);

-- A job carries the number of its tasks in each status, so that nothing ever sums over tasks. What a submitter may make
-- large is in job_details: the counters are rewritten with every change of a task.
CREATE TABLE jobs (
    id                  INTEGER PRIMARY KEY,
    uuid                BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
    type                TEXT NOT NULL,
    checkout            TEXT NOT NULL,
    priority            INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 100),
    tag                 INTEGER REFERENCES tags (id) ON DELETE SET NULL,
    status              TEXT NOT NULL CHECK (status IN ('under-construction', 'queued', 'active', 'pause-requested',
        'paused', 'cancel-requested', 'canceled', 'failed', 'completed', 'requeueing')),
    created             INTEGER NOT NULL,
    updated             INTEGER NOT NULL,
    delete_requested_at INTEGER,
    preview             INTEGER CHECK (preview > 0), -- the larger, the later the job got its last image
    queued              INTEGER NOT NULL DEFAULT 0 CHECK (queued >= 0),
    active              INTEGER NOT NULL DEFAULT 0 CHECK (active >= 0),
    completed           INTEGER NOT NULL DEFAULT 0 CHECK (completed >= 0),
    failed              INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    soft_failed         INTEGER NOT NULL DEFAULT 0 CHECK (soft_failed >= 0),
    canceled            INTEGER NOT NULL DEFAULT 0 CHECK (canceled >= 0),
    paused              INTEGER NOT NULL DEFAULT 0 CHECK (paused >= 0),
    runnable            INTEGER NOT NULL DEFAULT 0 CHECK (runnable >= 0), -- sum over the job's lanes
    steps_completed     INTEGER NOT NULL DEFAULT 0 CHECK (steps_completed >= 0),
    steps_total         INTEGER NOT NULL DEFAULT 0 CHECK (steps_total >= 0)
) STRICT;
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_to_delete ON jobs (delete_requested_at) WHERE delete_requested_at IS NOT NULL;
CREATE INDEX jobs_by_preview ON jobs (preview) WHERE preview IS NOT NULL;

CREATE TABLE job_details (
    job      INTEGER PRIMARY KEY REFERENCES jobs (id),
    name     TEXT NOT NULL,
    activity TEXT NOT NULL,
    settings TEXT NOT NULL CHECK (json_valid(settings)),
    metadata TEXT NOT NULL CHECK (json_valid(metadata))
) STRICT;

-- A lane is the tasks of a job that share type and priority. A worker looks through lanes, never through tasks:
-- runnable counts those that wait with all their needs completed, open says that the job lets tasks be claimed. Priority
-- and tag are the job's, repeated here so that one index holds the lanes that are worth a look, best first.
CREATE TABLE lanes (
    id            INTEGER PRIMARY KEY,
    job           INTEGER NOT NULL REFERENCES jobs (id),
    task_type     TEXT NOT NULL,
    task_priority INTEGER NOT NULL,
    job_priority  INTEGER NOT NULL CHECK (job_priority BETWEEN 0 AND 100),
    tag           INTEGER REFERENCES tags (id) ON DELETE SET NULL,
    open          INTEGER NOT NULL CHECK (open IN (0, 1)),
    runnable      INTEGER NOT NULL DEFAULT 0 CHECK (runnable >= 0),
    UNIQUE (job, task_type, task_priority)
) STRICT;
CREATE INDEX lanes_in_order ON lanes (job_priority DESC, task_priority DESC, job, id) WHERE open = 1 AND runnable > 0;

-- The commands of a lane's first task. The tasks of a lane differ from it in a few bytes, and keep just these.
CREATE TABLE lane_commands (
    lane     INTEGER PRIMARY KEY REFERENCES lanes (id),
    commands BLOB -- NULL: none
) STRICT;

CREATE TABLE tasks (
    id              INTEGER PRIMARY KEY,
    uuid            BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
    job             INTEGER NOT NULL REFERENCES jobs (id),
    lane            INTEGER NOT NULL REFERENCES lanes (id),
    idx             INTEGER NOT NULL CHECK (idx > 0),
    status          TEXT NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'active', 'soft-failed', 'paused', 'completed', 'failed', 'canceled')),
    worker          INTEGER REFERENCES workers (id),
    claim           INTEGER NOT NULL DEFAULT 0 CHECK (claim >= 0),
    claimed_at      INTEGER,
    seq             INTEGER NOT NULL DEFAULT 0 CHECK (seq >= 0),
    failures        INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    steps_done      INTEGER NOT NULL DEFAULT 0 CHECK (steps_done >= 0),
    steps           INTEGER NOT NULL CHECK (steps >= 0),
    open_needs      INTEGER NOT NULL CHECK (open_needs >= 0), -- how many of its needs are not completed
    has_dependents  INTEGER NOT NULL CHECK (has_dependents IN (0, 1)),
    updated         INTEGER NOT NULL,
    last_touched    INTEGER,
    name            TEXT NOT NULL,
    activity        TEXT NOT NULL DEFAULT '',
    commands_prefix INTEGER NOT NULL CHECK (commands_prefix >= 0), -- bytes shared with the lane's commands at the start
    commands_suffix INTEGER NOT NULL CHECK (commands_suffix >= 0), -- and at the end
    commands        BLOB,                                          -- what stands between; NULL: nothing
    UNIQUE (job, idx),
    CHECK (status <> 'active' OR worker IS NOT NULL),
    CHECK ((claim = 0) = (claimed_at IS NULL)),
    CHECK (claim = 0 OR worker IS NOT NULL)
) STRICT;
CREATE INDEX tasks_by_lane ON tasks (lane);
CREATE INDEX tasks_runnable ON tasks (lane, idx) WHERE status IN ('queued', 'soft-failed') AND open_needs = 0;
CREATE INDEX tasks_active ON tasks (worker) WHERE status = 'active';
CREATE INDEX tasks_by_worker ON tasks (worker, claimed_at) WHERE worker IS NOT NULL;

CREATE TABLE task_needs (
    task  INTEGER NOT NULL REFERENCES tasks (id),
    needs INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (task, needs),
    CHECK (task <> needs)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_needs_by_need ON task_needs (needs);

CREATE TABLE task_failures (
    task   INTEGER NOT NULL REFERENCES tasks (id),
    worker INTEGER NOT NULL REFERENCES workers (id),
    lane   INTEGER NOT NULL REFERENCES lanes (id), -- the task's, so that a worker's failures are counted without its tasks
    PRIMARY KEY (task, worker)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_failures_by_lane ON task_failures (lane, worker);

CREATE TABLE blocks (
    job       INTEGER NOT NULL REFERENCES jobs (id),
    worker    INTEGER NOT NULL REFERENCES workers (id),
    task_type TEXT NOT NULL,
    PRIMARY KEY (job, worker, task_type)
) STRICT, WITHOUT ROWID;

CREATE TABLE outputs (
    id     INTEGER PRIMARY KEY,
    job    INTEGER NOT NULL REFERENCES jobs (id),
    task   INTEGER NOT NULL REFERENCES tasks (id),
    root   TEXT NOT NULL,
    path   TEXT NOT NULL CHECK (path <> ''),
    size   INTEGER NOT NULL CHECK (size >= 0),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    UNIQUE (job, root, path)
) STRICT;
CREATE INDEX outputs_by_task ON outputs (task);

CREATE TABLE log_chunks (
    id    INTEGER PRIMARY KEY,
    task  INTEGER NOT NULL REFERENCES tasks (id),
    start INTEGER NOT NULL CHECK (start >= 0), -- offset in the task's log
    bytes BLOB NOT NULL CHECK (length(bytes) > 0),
    UNIQUE (task, start)
) STRICT;

-- +goose Down
DROP TABLE log_chunks;
DROP TABLE outputs;
DROP TABLE blocks;
DROP TABLE task_failures;
DROP TABLE task_needs;
DROP TABLE tasks;
DROP TABLE lane_commands;
DROP TABLE lanes;
DROP TABLE job_details;
DROP TABLE jobs;
DROP TABLE worker_tags;
DROP TABLE workers;
DROP TABLE tags;
