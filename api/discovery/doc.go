// Package discovery lets workers find a manager on the local network by SSDP (UPnP Device Architecture 1.1, section 1),
// the way Flamenco does it: [Advertise] is the manager's side, [Find] the worker's, [Description] the XML page that an
// advertisement points to.
//
// Promises: packets to many go to 239.255.255.250:1900 only, with a TTL of 2 and on the chosen interfaces only; an answer
// goes only to who asked, and only if that address lies in a network of the interface, so that nobody far away can have
// packets sent to a third party. Loopback URLs are told on loopback interfaces only. Both sides follow the machine when
// it joins or leaves a network. Packets from outside are bounded, and a malformed one is ignored. Whoever does not want
// to be found does not call Advertise.
//
// What was found is a claim of whoever answered: [Find] returns a URL only after the caller's own check of it passed.
//
// It imports nothing of ours, so that both api and worker may import it.
package discovery
