// Package worker is the agent of one worker of the farm: it signs on at a manager, claims tasks, runs their commands,
// reports log, progress and outputs, and collects rendered frames. At sign-on it tells what its Blender can do, which it
// finds out by asking that Blender.
//
// Each line that a process wrote stands in the task's log with its stream, as package api/tasklog has it.
//
// Promises: a frame counts as done only when its file was checked and published whole; an exit code alone proves
// nothing. Updates that a manager did not acknowledge are kept on disk and sent again, in order, with the numbers (claim
// and seq) by which a manager recognises duplicates; the end of a task is on disk before it is sent. A slow or absent
// manager never blocks a running process. What a killed predecessor left running or half-made is cleared at the start.
//
// It works with any manager that speaks the worker part of api/openapi.yaml, Flamenco's included: everything that is
// added to that protocol is optional.
//
// Sub-packages: worker/process runs child processes, worker/frame knows frames. It may import api/client, api/wire,
// api/tasklog, api/discovery, checkout and cas, and must not import api, scheduler or echo. It never exits the process and
// installs no signal handlers; that is for cmd.
package worker
