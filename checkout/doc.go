// Package checkout turns lists of files into directories: the [Path] of a file inside a project, the [Manifest] that
// names a whole tree, [Diff] of two of them, [Checkouts] that lay manifests out as links into a store on shared storage,
// and [Materialise] that brings a directory to what a manifest says, with as few bytes read and fetched as it can.
//
// Promises: a Path or a Manifest cannot be built invalid. Equal trees have equal manifest digests, in whatever order
// their files came. A directory under a checkout's name is whole or not there; it belongs to one caller; no failure
// touches a directory that an earlier call made. When Create returns, the checkout survives a power cut, the files
// included that the store made for it. Materialise puts each file in place whole, and replaces or deletes nothing that it
// was not told to.
//
// It does not keep blobs alive: whoever deletes blobs must know which checkouts still need them.
//
// This package imports nothing of ours but cas and cas/chunk: no store implementation, no scheduler, no HTTP. Reading a
// project from disk into a manifest is the sub-package gather.
package checkout
