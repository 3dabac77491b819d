// Package scheduler decides: which job and task may go from which status to which other, which worker gets which task,
// what a failure means, when silence is too long. It can be read without meeting SQL, HTTP, a file system or Blender.
//
// Read it in this order: ids.go, job.go, task.go, worker.go and ability.go hold the words; transitions.go is the whole
// status machine as data; store.go is the port to persistence; scheduler.go and the files named after its verbs (claim.go,
// update.go, request.go, timeout.go, eligible.go) are the decisions; share.go decides who leaves a task to whom.
//
// Promises: every status change goes through [Transitions]. What a request reads and what it writes happens in one
// transaction, whose commit is on stable storage before the call returns. A task is active on at most one worker; a
// claim carries a number, and an update by an earlier claim is refused. The cost of a claim does not depend on the
// number of queued tasks.
//
// It must not import anything of ours, and its only window to persistence is [Store]. The clock is a parameter.
package scheduler
