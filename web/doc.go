// Package web holds the page of a farm: jobs, their tasks and logs, workers, live. Its source is TypeScript in src;
// the built files in dist are committed and embedded, so that building the binary needs no Node.
//
// Promises: the page asks nobody but the manager that served it, for no font, no script and no picture. A file below
// assets/ is named by a hash of its content and may be cached for ever; index.html may not be cached at all. Building
// the same source twice gives the same bytes.
//
// Every address below /app/ that names no file is answered with index.html, because the page reads its own address.
// Serving belongs to package api. This package imports nothing of ours and nothing but the standard library.
package web
