package main

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"sync"

	"hayloft/cas"
)

// content is the bytes of one file, made up while they are read: its number, and then one random block again and again.
// Two of different numbers differ. Making it costs a copy, and the same in each measurement.
type content struct {
	seed uint64
	at   int64
	left int64 // bytes
}

const blockSize = 8 * miB

// randomBlock cannot be compressed, and is the same in each process.
var randomBlock = sync.OnceValue(func() []byte {
	block := make([]byte, blockSize)
	rand.NewChaCha8([32]byte{1}).Read(block) //nolint:errcheck // It never fails.
	return block
})

func newContent(seed uint64, size int64) *content { return &content{seed: seed, left: size} }

// Read gives the next bytes; see [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	block := randomBlock()
	from := c.at % blockSize
	n := copy(p[:min(int64(len(p)), c.left)], block[from:])
	for i := range int64(8) {
		if i >= c.at && i < c.at+int64(n) {
			p[i-c.at] = byte(c.seed >> (8 * i))
		}
	}
	c.at += int64(n)
	c.left -= int64(n)
	return n, nil
}

// blob gives the identity of what is left of the content, and uses it up.
func (c *content) blob() cas.Blob {
	size, sum := c.left, sha256.New()
	_, _ = io.CopyBuffer(sum, struct{ io.Reader }{c}, make([]byte, writeSize)) // Neither side can fail.
	return cas.Blob{Digest: cas.SumHash(sum), Size: size}
}
