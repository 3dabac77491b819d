// Package chunk cuts files into chunks by their content, names the chunks, and writes down as a [Recipe] how chunks make
// a file. [Split] does so in one reading, with the SHA-256 of the whole beside it. [BlendSpans] finds in a .blend file
// what should be cut alone, so that geometry is found again although every address in the file has changed.
//
// Promises: the same bytes give the same chunks for ever, however they are read. The chunks make the file exactly. A file
// whose structure is in doubt is cut as plain bytes, never refused; whatever it holds, the work is that of reading it
// twice, and memory is bounded. A decoded [Recipe] is well formed, and decoding takes no more than a small multiple of the
// bytes it is given; that a recipe tells the truth shows when the assembled bytes have their SHA-256, which
// [Recipe.Assemble] checks.
//
// The package imports nothing of ours but cas. It knows no network, no store and no file system, and compresses nothing.
//
// # Cutting
//
// A stream of bytes is cut from its start; each chunk begins where the last one ended. Let G be the table of 256 numbers
// of 64 bits whose entry i is the first 8 bytes, as a big-endian integer, of the SHA-256 of the 14 bytes "hayloft gear 1"
// and the byte i. For a place p of the stream, at least 64 bytes from the chunk's start, let
//
//	h(p) = sum over j from 0 to 63 of G[byte at p-1-j] * 2^j, modulo 2^64
//
// The chunk ends before the first place p that is n bytes from its start, such that
//
//	32 KiB <= n <  64 KiB  and bits 45 to 62 of h(p) are zero, or
//	64 KiB <= n < 256 KiB  and bits 49 to 62 of h(p) are zero, or
//	n = 256 KiB, or the stream ends there.
//
// The byte at p is the first of the next chunk. Bit 0 is the lowest. Random bytes give chunks of 76 KiB on average. The
// id of a chunk is the BLAKE3-256 of its bytes, without key.
//
// # Structure
//
// A plain file is one stream. A .blend file is several: each payload of more than 4,096 bytes is a stream; everything
// else, which is the header, the heads of all blocks and the smaller payloads, makes the literal stream, in the order of
// the file. Addresses stand in heads and in small payloads for the most part, so that a file saved anew differs there, and
// little elsewhere. A writer is free to cut any file as plain; a reader needs to know nothing of .blend.
//
// # Recipe
//
// A number is an unsigned LEB128 (as protocol buffers have it) of at most 63 bits, in as few bytes as it fits. A part is
//
//	number   length in bytes, doubled, plus 1 for a chunk or 0 for a literal
//	32 bytes the chunk's id, not all zero; nothing for a literal
//
// A list is the number of its parts, and then the parts. A recipe is
//
//	1 byte   version: 0x01
//	number   size of the file
//	32 bytes SHA-256 of the file
//	list     the chunks of the literal stream
//	list     the file from front to back: a chunk, or a literal, which is as many bytes of the literal stream as its
//	         length says, from where the literal before it ended
//
// and nothing after it. A reader refuses a recipe unless all of this holds: a chunk has 1 to 262,144 bytes, and 32,768 at
// least if another of its stream follows, where the streams are the literal stream and each run of chunks between two
// literals; if there is a literal stream, a run of chunks has more than 4,096 bytes in all; a literal is not empty and
// does not follow another; the literals use up the literal stream; the lengths of the second list make up the size. So a
// recipe has one encoding, and no more chunks than its file can have; [MaxEncodedSize] tells how long it can be.
//
// # Delta
//
// A recipe that resembles one that the other side has can travel as a delta against it. Send whichever is shorter. It is
//
//	1 byte   version: 0x81
//	32 bytes BLAKE3-256 of the base's encoding as a recipe
//	number   size of the file
//	32 bytes SHA-256 of the file
//	ops      the first list, against the base's first list
//	ops      the second list, against the base's second list
//
// Ops are the number of parts of the list, and then one or the other of these until there are as many parts. Both begin
// with a number that is a count of parts, at least 1, doubled, plus 0 or 1:
//
//	0  so many parts follow in full; the cursor moves on by as many, to the end of the base's list at most
//	1  so many parts are those of the base's list from a place on, which follows as a number: the distance d from the
//	   cursor, as 2d if d >= 0 and as -2d-1 if d < 0; the cursor then stands after the last of them
//
// The cursor is a place in the base's list, 0 at first. The ops of one list copy at most twice as many parts as the
// base's list has. The result must be a recipe that would not be refused.
package chunk
