// Package transfer moves the blobs of a tree into a store, wherever that store is: it asks once what is lacking and
// sends only that, several blobs at a time.
//
// Promises: each blob is sent at most once a call, however many files have its content. What is under way is bounded.
// When one blob fails, the others that are being sent are ended and the first error is returned; sending again goes on
// where it stopped, since a stored blob is not lacking any more.
//
// It imports nothing of ours but cas. HTTP is behind [Target].
package transfer
