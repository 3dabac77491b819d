// Package store keeps the scheduler's jobs, tasks and workers in SQLite. It implements [scheduler.Store] and nothing
// else may know that there is SQL.
//
// Read it in this order: migrations/*.sql is the schema, with the invariants as constraints; writer.go is group commit,
// the one way to write; rules.go keeps what is counted (a job's counts, the lanes, a task's open needs) in step with the
// tasks' statuses, and check.go recomputes all of that from scratch; claim.go is the hot path.
//
// Promises: an acknowledged Update survives a power cut (WAL, synchronous=FULL, both read back at open). One goroutine
// writes; what waits while it commits shares the next commit. A failed Update leaves nothing behind and does not disturb
// those that share its commit. A View sees every Update that was acknowledged before it began, and never waits for a
// writer. A claim costs the same at any number of queued tasks. Memory is bounded by the page caches.
//
// It imports package scheduler and must not import any other of ours, nor anything of HTTP.
package store
