// Package api is the manager's face: HTTP in, decisions of the scheduler and bytes of the store out. openapi.yaml is the
// contract; routes, shapes and the strict handler interface are generated from it (api/gen, api/wire), requests are
// checked against it, and the tests check each answer against it too.
//
// Read it in this order: server.go composes, guard.go is what every request passes, errors.go is the one table from the
// meaning of an error to status and reason word. Handlers lie in files named after the parts of the API (meta.go, jobs.go,
// eligible.go, tasks.go, worker.go, workermgt.go, sleep.go, shaman.go, cas.go, stats.go, outputs.go, events.go, settings.go, setup.go;
// receive.go and give.go are the two directions of the transfer protocol, body.go is what its bodies have in common);
// convert.go turns domain values into wire shapes, names.go variables into what they mean to whom. previews.go,
// deleter.go, farmstatus.go and mirror.go are the parts that work in the background, in [Server.Run].
//
// Promises: a 2xx answer means on stable storage. Every body is bounded, files are streamed both ways and never held in
// memory, lists without a limit are streamed page by page. A client that stops sending a body, or reading the bytes of a
// file, is cut off. Held requests and event streams end when the client goes away or the manager stops. What Flamenco's
// worker and add-on depend on is kept to the letter.
//
// It may import scheduler, checkout and cas with what lies below them; of cas/disk it knows the errors and counts that
// travel, no more. Only this package and api/gen know echo. It must not import worker, cmd, or a concrete database.
package api
