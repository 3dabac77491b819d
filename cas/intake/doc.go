// Package intake is the receiving side of the transfer protocol, without HTTP: it answers which blobs a store lacks,
// takes small files in frames, and keeps upload sessions, in which a big blob comes as a recipe and then as chunks.
// [Cutter] cuts in the background what came whole, so that its next version need not.
//
// Promises: nothing is visible that is not whole, and what was acknowledged is durable. A session belongs to a recipe,
// not to a client: whoever brings the same recipe gets the same session. Its chunks come on lanes, byte streams that can
// be cut anywhere and go on at that byte; a lane may fall back to the border of its last whole frame, and says so with
// an [OffsetError]. A session in which nothing happens ends, by a clock that nobody can set. Sessions, lanes, leases,
// bytes under way and bytes waiting for their frame's end all have bounds, and no lock is held while a disk or a client
// is waited for.
//
// It does not cut off a client that stops sending: whoever gives it a body bounds the body's length and its silences.
// It must not import net/http, nor any room but cas.
package intake
