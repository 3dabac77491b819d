// Package client is the one Go client of a manager: for the command lines and for tests. It wraps the generated client of
// api/wire with the domain's verbs, errors that mean something, uploads and downloads that survive a broken connection,
// lists that page by themselves and an event stream that connects again. It is the sending side's [transfer.Remote], and
// counts and limits what goes over its connections.
//
// Promises: every method takes a context first and returns when it ends. An error that the manager sent is an [*Error] and
// fits one of the sentinels of this package, or of packages cas and cas/transfer, under errors.Is; one that kept the
// manager from answering is [ErrUnreachable]. Bytes of chunks and small files are checked against their ids before anybody
// sees them. Nothing of unbounded size is held in memory.
//
// It must not import echo, package api, scheduler or a store: tools link it without linking a server.
package client
