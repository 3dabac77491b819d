// Package octets holds the formats of those bodies of the API that are not JSON: questions about blobs, lists of digests
// and bitmaps. Server and client share it, so that both mean the same.
//
// Promises: what does not parse is [ErrMalformed], a list that is too long is refused before it is read, and parsing
// takes no more memory than a small multiple of the bytes it is given. Frames, the fourth such format, are package
// [hayloft/cas/pack]'s, recipes [hayloft/cas/chunk]'s.
//
// It must not import anything of ours but cas.
package octets
