// Package flamencotest plays the other side of Flamenco's protocol, so that tests can hold Hayloft to it: a worker, an
// add-on and a manager, each as the originals behave on the wire.
//
// It is written from the protocol's fact sheet and shares no type with the rest of the repository, so that a mistake in
// the contract cannot hide in both. Promises: the three are as strict as the originals are. An answer that the original
// would choke on is reported as a fault, with the request, the answer and what the original would have done; so is a
// request that the original manager would refuse. Waits are the original's, times a scale. Every goroutine ends with the
// call that started it.
//
// It imports the standard library and package uuid only, nothing of ours. Only tests may import it.
package flamencotest
