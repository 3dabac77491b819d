// Command cas is the asset store for pipelines: it puts folders into a store, names them, lists them, brings them back
// and checks that every byte is still what its name says.
//
// A store is a manager's address (http://…) or a folder of this machine (file:///…). Exit codes are those of package
// cli. It may import cas, checkout and api/client; no room imports it.
package main
