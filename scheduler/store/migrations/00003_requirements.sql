-- What a worker can do and what a job requires of a worker, each a JSON list of texts. Jobs share their lists, so that
-- a claim reads each list once. NULL: a worker that never told what it can, a job that requires nothing.

-- +goose Up
CREATE TABLE requirements (
    id   INTEGER PRIMARY KEY,
    list TEXT NOT NULL UNIQUE CHECK (json_valid(list))
) STRICT;
ALTER TABLE jobs ADD COLUMN requirements INTEGER REFERENCES requirements (id);
ALTER TABLE lanes ADD COLUMN requirements INTEGER REFERENCES requirements (id); -- the job's
ALTER TABLE workers ADD COLUMN abilities TEXT CHECK (abilities IS NULL OR json_valid(abilities));
CREATE INDEX jobs_by_requirements ON jobs (requirements) WHERE requirements IS NOT NULL;
CREATE INDEX lanes_by_requirements ON lanes (requirements) WHERE requirements IS NOT NULL;

-- +goose Down
DROP INDEX lanes_by_requirements;
DROP INDEX jobs_by_requirements;
ALTER TABLE workers DROP COLUMN abilities;
ALTER TABLE lanes DROP COLUMN requirements;
ALTER TABLE jobs DROP COLUMN requirements;
DROP TABLE requirements;
