-- When a job's tasks are ended, in microseconds; 0 leaves it to the farm. When a worker sleeps, as JSON; NULL: no schedule.

-- +goose Up
ALTER TABLE jobs ADD COLUMN silence_limit INTEGER NOT NULL DEFAULT 0 CHECK (silence_limit >= 0);
ALTER TABLE jobs ADD COLUMN total_limit INTEGER NOT NULL DEFAULT 0 CHECK (total_limit >= 0);
ALTER TABLE workers ADD COLUMN schedule TEXT CHECK (schedule IS NULL OR json_valid(schedule));

-- +goose Down
ALTER TABLE workers DROP COLUMN schedule;
ALTER TABLE jobs DROP COLUMN total_limit;
ALTER TABLE jobs DROP COLUMN silence_limit;
