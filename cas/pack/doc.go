// Package pack keeps many small things together: as frames, which are what travels and what lies on disk, and in packs,
// which are files of many frames. A [Reader] takes frames apart, [Append] makes them, and a [Dir] stores them so that many
// callers share one sync.
//
// Promises: what a Reader or [Dir.Frame] gives has been hashed, item by item. Decoding takes no more memory than the bounds of a
// frame, whatever is announced or compressed. When [Dir.Append] has returned nil, the frames survive a power cut; after an
// error the directory works on. Once a process has died, the next one finds whole frames only, and all that were
// acknowledged. The order of steps behind that is written down in committer.go.
//
// The package does not know what the ids mean to others, keeps no index, deletes nothing that was acknowledged, and imports
// nothing of ours but cas.
//
// # Frame
//
// A number is an unsigned LEB128 (as protocol buffers have it) in as few bytes as it fits. A frame is
//
//	1 byte   kind: 1 blobs, 2 chunks, 3 a recipe
//	1 byte   encoding of the payload: 0 plain, 1 zstd (RFC 8878)
//	number   items: 1 to 1,024; 1 for a recipe
//	         for each of them:
//	number     its length in bytes; 0 is for blobs only
//	32 bytes   its id: SHA-256 for blobs, BLAKE3-256 for chunks and recipes
//	number   for zstd only: bytes of the payload, less than those of the items together
//	payload  the items' bytes in order, up to 1 MiB; up to 64 MiB for a recipe
//
// A writer compresses only where that saves at least 1/16. Frames carry no version: the media type or the pack does.
//
// # Pack
//
// The file of pack N is named by N in 16 lower-case hex digits and ".pack". Numbers grow, from 1 on. It is
//
//	15 bytes "hayloft-pack 1\n"
//	frames
//	trailer
//
// and without a trailer as long as it is not sealed. A pack is sealed for good when it has 16 MiB or more. It has at most 32
// MiB and one recipe. The trailer is
//
//	1 byte   0, where a frame has its kind
//	listing
//	32 bytes BLAKE3-256 of the listing
//	8 bytes  length of the listing, big-endian
//	16 bytes "hayloft-trailer\n"
//
// and the listing is the number of frames and for each of them
//
//	1 byte   kind
//	number   bytes between the frame before, or the pack's first line, and this one: 0 unless something there is damaged
//	number   length of the encoded frame
//	items    as in the frame: their number, and the length and the id of each
//
// so that an index is made anew without reading what the frames hold.
package pack
