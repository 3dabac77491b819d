// Package upload puts a tree of files into a store: it reads what the local index does not know, and sends what the store
// lacks while the rest is still being read. The programs cas and hayloft share it.
//
// Promises: when [Tree] returns nil, all blobs of the manifest are durable in the store. A file that is unchanged since an
// earlier run costs one stat; a blob of which the store said that it has it is not asked for again while the store's
// generation is the same. Interrupted, it goes on next time where it stopped. It leaves nothing on this machine but the
// index.
//
// It knows no flags and prints nothing; progress goes to callbacks. It must not import a program.
package upload
