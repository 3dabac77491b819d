package chunk

import "crypto/sha256"

// Bounds of a chunk in bytes. They are part of the format: with other values the same file gives other chunks.
const (
	// MinSize: no cut comes earlier. Only the last chunk of a stream is shorter.
	MinSize = 32 << 10
	// NormalSize: from here on a cut is sixteen times as likely as before, so that sizes crowd around it.
	NormalSize = 64 << 10
	// MaxSize: a cut comes here at the latest.
	MaxSize = 256 << 10
)

// window is how many bytes the rolling hash sees. A byte moves up one bit with each byte after it, so that it has left
// a word of 64 bits after 64 bytes.
const window = 64

// A place is a cut if these bits of the hash are all zero: 18 of them before NormalSize (one place in 262,144), 14 from
// there on (one in 16,384). They lie high, where many bytes have left their mark: bit k depends on the last k+1 bytes.
// Bit 63 stays free; see [scan].
const (
	earlyMask uint64 = (1<<18 - 1) << 45
	lateMask  uint64 = (1<<14 - 1) << 49
)

// gearSeed is what the table is derived from; see [deriveGear].
const gearSeed = "hayloft gear 1"

var (
	gear      = deriveGear()
	gearTwice = double(gear)
)

// deriveGear makes the table of the rolling hash: entry i is the first 8 bytes, as a big-endian integer, of the SHA-256
// of gearSeed followed by the byte i. Anybody can make it again, and nobody had a choice in it.
func deriveGear() (table [256]uint64) {
	for i := range table {
		sum := sha256.Sum256(append([]byte(gearSeed), byte(i)))
		for _, b := range sum[:8] {
			table[i] = table[i]<<8 | uint64(b)
		}
	}
	return table
}

func double(table [256]uint64) [256]uint64 {
	for i := range table {
		table[i] <<= 1
	}
	return table
}

// cut gives the length of the first chunk of a stream, given its next bytes: at least MaxSize of them, or all that are
// left. The result depends on nothing but the first MaxSize bytes.
func cut(data []byte) int {
	if len(data) <= MinSize {
		return len(data)
	}
	data = data[:min(len(data), MaxSize)]
	var hash uint64
	for _, b := range data[MinSize-window : MinSize-1] {
		hash = hash<<1 + gear[b]
	}
	// The byte at p-1 is the last one that the hash at place p sees, hence the steps back by one.
	early := data[MinSize-1 : min(len(data), NormalSize)-1]
	n, hash, found := scan(hash, early, earlyMask)
	if found {
		return MinSize - 1 + n
	}
	if len(data) <= NormalSize {
		return len(data)
	}
	n, _, found = scan(hash, data[NormalSize-1:len(data)-1], lateMask)
	if found {
		return NormalSize - 1 + n
	}
	return len(data)
}

// scan rolls the hash over data until the bits of mask are zero, and tells how many bytes that took.
//
// The plain step is
//
//	h = 2h + G[b]; cut if h & mask == 0
//
// Two of them in a row are 2(2h + G[a]) + G[b] = 4h + 2G[a] + G[b]. The first sum, 4h + 2G[a], is twice the hash between
// the two bytes; doubled with it, the mask tests the same bits, as long as the doubling pushes none of them out of the
// word: so bit 63 is in no mask. With 2G in a table of its own, two bytes take one shift and two additions in the chain
// from hash to hash instead of two and two. Tables of 256 entries indexed by a byte, and an index that stays
// below the length less one, leave no bounds to check.
func scan(hash uint64, data []byte, mask uint64) (n int, rolled uint64, found bool) {
	once, twice := &gear, &gearTwice
	maskTwice := mask << 1
	for i := 0; i < len(data)-1; i += 2 {
		hash = hash<<2 + twice[data[i]]
		if hash&maskTwice == 0 {
			return i + 1, hash, true
		}
		hash += once[data[i+1]]
		if hash&mask == 0 {
			return i + 2, hash, true
		}
	}
	if len(data)%2 == 1 {
		hash = hash<<1 + once[data[len(data)-1]]
		found = hash&mask == 0
	}
	return len(data), hash, found
}
