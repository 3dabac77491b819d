package checkout

import (
	"encoding/binary"

	"hayloft/cas"
)

// Usage is how much of a store one tree holds, in bytes.
type Usage struct {
	Files   int
	Logical int64 // all its files added up
	Unique  int64 // blobs that no other of the trees has, each counted once: what giving up the tree would free
	Shared  int64 // blobs that others of the trees have too, each counted once
}

// tracked is about how many blobs are held in memory at a time to find out which trees share them.
const tracked = 1 << 19

// UsageOf tells for each of the trees, named by their manifests, what it holds. blobs is about how many different blobs
// they have between them; with more, the manifests are read more than once, so that memory stays bounded. Errors are those
// of read, as they are.
func UsageOf(trees []cas.Blob, blobs int64, read func(cas.Blob) (Manifest, error)) ([]Usage, error) {
	count := usageCount{trees: make([]Usage, len(trees))}
	parts := uint64(blobs/tracked) + 1
	for part := range parts {
		count.owners = make(map[cas.Digest]int)
		for tree, manifest := range trees {
			m, err := read(manifest)
			if err != nil {
				return nil, err
			}
			count.trees[tree].Files, count.trees[tree].Logical = m.Len(), m.Size()
			for _, blob := range m.Blobs() {
				if partOf(blob.Digest, parts) == part {
					count.add(tree, blob)
				}
			}
		}
	}
	return count.trees, nil
}

// partOf puts digests into so many parts, all about equally large.
func partOf(digest cas.Digest, parts uint64) uint64 {
	sum := digest.Bytes()
	return binary.BigEndian.Uint64(sum[:]) % parts
}

// usageCount finds out which blobs one tree alone has.
type usageCount struct {
	trees  []Usage
	owners map[cas.Digest]int // the one tree that has the blob so far, or severalTrees
}

// severalTrees have a blob that is not any one tree's.
const severalTrees = -1

// add counts a blob of a tree. Each tree brings a blob once.
func (c *usageCount) add(tree int, blob cas.Blob) {
	owner, known := c.owners[blob.Digest]
	if !known {
		c.owners[blob.Digest] = tree
		c.trees[tree].Unique += blob.Size
		return
	}
	if owner != severalTrees {
		c.owners[blob.Digest] = severalTrees
		c.trees[owner].Unique -= blob.Size
		c.trees[owner].Shared += blob.Size
	}
	c.trees[tree].Shared += blob.Size
}
