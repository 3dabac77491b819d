// Package hayloft is the root of the module and holds no code, only the rules of the repository, each as a test: which
// room may import which, which modules are welcome and why, how packages and files are named, documented and sized,
// and what must not stand in the text.
//
// It promises that a rule which names something that no longer exists fails as well, so that no rule dies in silence.
//
// It must not import anything of ours, and nothing imports it.
package hayloft
