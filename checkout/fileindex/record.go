package fileindex

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"hayloft/cas"
	"hayloft/checkout"
)

// A record is, little-endian: size, modification, change, inode and device of the [Stat], 8 bytes each; size of the
// blob, 8 bytes; its SHA-256, 32 bytes; origin and flags, 1 byte each; CRC-32C of the path and all of that, 4 bytes.
const (
	recordSize = 6*8 + cas.Size + 2 + crc32.Size

	flagVerbatim = 1 << 0
	flagRecipe   = 1 << 1
	flagRacy     = 1 << 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(b []byte, path string, k Known) []byte {
	start := len(b)
	order := binary.LittleEndian
	for _, n := range []uint64{uint64(k.Stat.Size), uint64(k.Stat.ModTime), uint64(k.Stat.ChangeTime), k.Stat.Inode, k.Stat.Device, uint64(k.Blob.Size)} {
		b = order.AppendUint64(b, n)
	}
	b = appendDigest(b, k.Blob.Digest)
	var flags byte
	for flag, set := range map[byte]bool{flagVerbatim: k.Verbatim, flagRecipe: k.HasRecipe, flagRacy: k.Racy} {
		if set {
			flags |= flag
		}
	}
	b = append(b, byte(k.Origin), flags)
	return order.AppendUint32(b, checksum(path, b[start:]))
}

func checksum(path string, fields []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(path), castagnoli), castagnoli, fields)
}

// parseRecord is errDamaged for anything that appendRecord would not have written for that path.
func parseRecord(path string, b []byte) (Known, error) {
	order := binary.LittleEndian
	if len(b) != recordSize || order.Uint32(b[recordSize-crc32.Size:]) != checksum(path, b[:recordSize-crc32.Size]) {
		return Known{}, fmt.Errorf("%w: the entry of %q is not as it was written", errDamaged, path)
	}
	var numbers [6]uint64
	for i := range numbers {
		numbers[i] = order.Uint64(b[i*8:])
	}
	digest, err := parseDigest(b[6*8:][:cas.Size])
	if err != nil {
		return Known{}, err
	}
	tail := b[6*8+cas.Size:]
	return Known{
		Stat: Stat{Size: int64(numbers[0]), ModTime: int64(numbers[1]), ChangeTime: int64(numbers[2]), Inode: numbers[3], Device: numbers[4]},
		Blob: cas.Blob{Digest: digest, Size: int64(numbers[5])}, Origin: checkout.Origin(tail[0]),
		Verbatim: tail[1]&flagVerbatim != 0, HasRecipe: tail[1]&flagRecipe != 0, Racy: tail[1]&flagRacy != 0,
	}, nil
}

func appendDigest(b []byte, d cas.Digest) []byte {
	sum := d.Bytes()
	return append(b, sum[:]...)
}

func parseDigest(b []byte) (cas.Digest, error) {
	if len(b) != cas.Size {
		return cas.Digest{}, fmt.Errorf("%w: a digest of %d bytes", errDamaged, len(b))
	}
	return cas.DigestFromBytes([cas.Size]byte(b)), nil
}

// Clocks of file systems tick: one that counts nanoseconds at each interrupt of a timer, one that counts seconds (FAT:
// two) says so by having no fraction.
const (
	fineTick   = 100 * time.Millisecond
	coarseTick = 2 * time.Second
)

// racy tells whether a file could have been written once more after it was read, without a sign of it in its times: if
// one of them lies in the tick of the clock in which it was read, or later.
func racy(s Stat, read time.Time) bool {
	for _, at := range []int64{s.ModTime, s.ChangeTime} {
		tick := fineTick
		if at%int64(time.Second) == 0 {
			tick = coarseTick
		}
		if at+int64(tick) > read.UnixNano() {
			return true
		}
	}
	return false
}
