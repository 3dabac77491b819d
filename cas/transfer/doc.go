// Package transfer moves the blobs of a tree into a store, wherever that store is: it asks in batches what is lacking and
// sends only that, several requests at a time. Small blobs travel many to a request; of larger ones only the chunks that
// the store lacks travel, in upload sessions that go on at the very byte where a connection broke.
//
// Promises: each blob is sent at most once by a [Sender], however many files have its content. What is under way is
// bounded in files and in bytes. A request that failed for a reason that passes is made again after a pause; anything
// else ends everything that is under way, and the first error is returned. Sending again goes on where that stopped: a
// stored blob is not lacking any more, and neither is a chunk that arrived. A file that is not any more what it was
// announced as is [ErrChanged], which names it; none of its new bytes pass for the old.
//
// It imports nothing of ours but packages of cas. HTTP is behind [Remote].
package transfer
