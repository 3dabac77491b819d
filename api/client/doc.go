// Package client is the one Go client of a manager: for the command lines and for tests. It wraps the generated client of
// api/wire with the domain's verbs, errors that mean something, uploads that survive a broken connection, lists that page
// by themselves and an event stream that connects again.
//
// Promises: every method takes a context first and returns when it ends. An error that the manager sent is an [*Error] and
// fits one of the sentinels of this package, or of package cas, under errors.Is; one that kept the manager from answering
// is [ErrUnreachable]. Nothing of unbounded size is held in memory.
//
// It must not import echo, package api, scheduler or a store: tools link it without linking a server.
package client
