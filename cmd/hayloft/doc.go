// Command hayloft is the farm in one binary: the manager, the workers, and what people type to submit and watch jobs.
//
// This is where everything is put together, by hand and from top to bottom: up.go starts a whole farm, manager.go wires
// the manager, worker.go a worker; the other files are one command each. Every command is a function of its arguments,
// streams and environment, so that tests run it in their own process.
//
// Voice: results go to standard output, everything else to standard error. Messages start with what was attempted, say
// why it failed and what to do next, and end without a full stop. Exit codes are listed in package cli.
//
// It may import every room; no room imports it.
package main
