// Package jobtype compiles jobs into tasks. A job type is a JavaScript file that declares its settings (JOB_TYPE) and
// turns the settings of one job into tasks, commands and dependencies (compileJob). The API that scripts see is that of
// Flamenco 3, so that a studio's own job types run unchanged.
//
// Promises: the settings of a job are checked against the declaration before any of the script's own compile code runs.
// A compiled job has no unknown dependency, no cycle and no task twice. Every refusal is an error that a person can act
// on; one that comes from a script carries file, line and column. A script that never ends is stopped, and so is one that
// takes more and more memory. One broken script spoils its own job type and no other. [Library.Watch] reads scripts again
// when they change; a file that did not change is not compiled again.
//
// Limits: each compile has a time limit, a bounded number of tasks, dependencies, bytes of commands and log lines, and a
// bounded call stack. Memory is measured for the whole process, since the engine cannot count that of one script: of two
// that run side by side the wrong one may be stopped. Functions of the language that make a text, a list or a buffer of
// any size in one step refuse sizes beyond the limit. Some others cannot be interrupted within one step (a regular
// expression that backtracks), so the scripts folder is for the people who run the farm, not for those who submit jobs
// to it.
//
// Each compile gets an engine of its own: scripts keep no state between jobs and one Library serves any number of
// goroutines. Nothing here starts a goroutine that outlives the call.
//
// The package imports nothing of ours; it knows no HTTP, no database and no Blender.
package jobtype
