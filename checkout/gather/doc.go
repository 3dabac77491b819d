// Package gather reads a project from disk: [Walk] finds its files and [Hash] turns them into a manifest and the list
// of where each blob's bytes lie.
//
// Promises: what cannot be read is reported by path, all of it at once, and nothing is left out silently that is not on
// the list of what is ignored. Links never make a walk endless. A digest belongs to content that the file had at one
// moment, not to a mixture of two.
//
// It only reads. It knows no store and no network, and imports nothing of ours but checkout and cas.
package gather
