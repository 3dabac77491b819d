// Package gather reads projects from disk: [Walk] and [WalkAll] find their files, [Read] finds out what the files hold
// and makes a manifest of it, and [Watch] tells when they change.
//
// Promises: what cannot be read is reported by path, all of it at once and before any file is read, and nothing is left
// out silently that is not on the list of what is ignored. Links never make a walk endless. A blob is content that the
// file had at one moment, not a mixture of two. A file that package fileindex knows, and that looks the same, costs one
// stat and is not opened. A compressed .blend file is taken out of its envelope only if asked for, and only if all of it
// decodes.
//
// It only reads, but for decoded files in a folder of the caller's. It knows no store and no network, and imports nothing
// of ours but checkout, checkout/fileindex and cas.
package gather
