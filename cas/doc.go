// Package cas defines what a content-addressed store of whole files is: the [Digest] that names a file's bytes, the
// [Blob] (digest and size) that every manifest, checkout and Flamenco client speaks of, the narrow interfaces through
// which bytes go in and come out, and the errors that mean something to callers.
//
// Promises: a Digest cannot be built invalid. A blob is visible whole or not at all. Commit returns only when the bytes
// are on stable storage and the blob is visible to everybody. Bytes that do not match their digest are never visible.
//
// Implementations live in sub-packages (cas/disk) and pass the suite in cas/castest. This package imports nothing of
// ours, and no implementation imports anything of ours but this package.
package cas
