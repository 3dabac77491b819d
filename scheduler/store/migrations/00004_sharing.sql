-- How fast a worker is said to be, against others; how the workers share a job, and how fast each was at it.

-- +goose Up
ALTER TABLE workers ADD COLUMN performance REAL NOT NULL DEFAULT 1 CHECK (performance > 0);
ALTER TABLE jobs ADD COLUMN share TEXT NOT NULL DEFAULT '' CHECK (share IN ('', 'speed'));
ALTER TABLE lanes ADD COLUMN by_speed INTEGER NOT NULL DEFAULT 0 CHECK (by_speed IN (0, 1)); -- whether that is the job's share

-- The tasks of one type that a worker completed of a job that is shared by speed, newer ones counting more. A claim reads
-- one row a worker, however many tasks there are.
CREATE TABLE paces (
    job       INTEGER NOT NULL REFERENCES jobs (id),
    task_type TEXT NOT NULL,
    worker    INTEGER NOT NULL REFERENCES workers (id),
    tasks     INTEGER NOT NULL CHECK (tasks > 0),
    steps     INTEGER NOT NULL CHECK (steps > 0),
    elapsed   INTEGER NOT NULL CHECK (elapsed >= 0), -- microseconds from claim to completion
    ended     INTEGER NOT NULL,                      -- when the last of them was completed
    PRIMARY KEY (job, task_type, worker)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE paces;
ALTER TABLE lanes DROP COLUMN by_speed;
ALTER TABLE jobs DROP COLUMN share;
ALTER TABLE workers DROP COLUMN performance;
