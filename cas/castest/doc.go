// Package castest is the suite that every [cas.Store] passes. A back end's own test is a constructor and one call of
// [Run]; a rule of the contract in package cas that can be observed from outside is checked here, once for all of them.
//
// It promises to use nothing but the interfaces of package cas, to leave no goroutine behind, and to wait on events
// only. It does not test what a crash leaves: that needs to know the steps of the back end, whose own tests do it.
//
// It is for tests only and is never linked into a binary. It imports nothing of ours but package cas.
package castest
