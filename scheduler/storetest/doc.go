// Package storetest is the suite that every implementation of [scheduler.Store] passes: one call of [Run] from the
// implementation's own tests. It speaks through the port only, so that it says what the port means.
//
// Promises: every promise of the port's comments is tried, with two or more callers at once where that could matter; and
// random histories are compared with a model in plain Go, step by step. A store that has a method Check(ctx) error, which
// looks for contradictions in what it keeps, is checked after each of these steps.
//
// It imports package scheduler and test libraries, and must not import a store, nor anything else of ours. Only tests may
// import it.
package storetest
