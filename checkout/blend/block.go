package blend

import (
	"bytes"
	"io"
	"iter"
)

// Block is one block of a file: a datablock, or a piece of memory (DATA) that belongs to the datablock before it.
type Block struct {
	file  *File
	index int32
}

func (b Block) entry() *entry { return &b.file.blocks[b.index] }

// Code is the block's two or four letters: "OB", "IM", "DATA", "GLOB". "ID" stands for a datablock of a library.
func (b Block) Code() string { return string(bytes.TrimRight(b.entry().code[:], "\x00")) }

// Type is the name of the structs that the block holds, as it is on disk; empty for memory of unknown shape.
func (b Block) Type() string {
	if !b.entry().typed() {
		return ""
	}
	return b.file.catalogue.structs[b.entry().kind].name
}

// Count is how many structs the block holds.
func (b Block) Count() int64 { return b.entry().count }

// Size is the block's length in bytes, its head not included.
func (b Block) Size() int64 { return b.entry().size }

// Address is where the block lay when it was written; pointers name blocks by it.
func (b Block) Address() uint64 { return b.entry().old }

// Owner is the datablock that the block belongs to; a datablock owns itself.
func (b Block) Owner() Block { return Block{b.file, b.entry().owner} }

// Data reads the block whole. [ErrTooLarge]: it has more than 64 MiB; use Reader.
func (b Block) Data() ([]byte, error) {
	e := b.entry()
	if e.size > maxRead {
		return nil, tooLarge("block %q has %d bytes", b.Code(), e.size)
	}
	data, err := b.slice(0, e.size)
	return bytes.Clone(data), err
}

// Reader reads the block from its begin.
func (b Block) Reader() io.Reader {
	return io.NewSectionReader(b.file.content, b.entry().at, b.entry().size)
}

// slice reads n bytes of the block, from its byte at on. They stay as they are, and nobody may change them.
func (b Block) slice(at, n int64) ([]byte, error) {
	if kept, ok := b.file.window.find(b.entry().at+at, n); ok {
		return kept, nil
	}
	raw, err := b.file.window.read(b.entry().at+at, n)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) < n {
		return nil, io.ErrUnexpectedEOF // The file became shorter while it was read.
	}
	return bytes.Clone(raw), nil
}

// Structs reads the structs of the block one after the other, and ends after an error. A block of unknown shape has none.
func (b Block) Structs() iter.Seq2[Struct, error] {
	return func(yield func(Struct, error) bool) {
		e := b.entry()
		if !e.typed() {
			return
		}
		kind := &b.file.catalogue.structs[e.kind]
		if kind.size == 0 {
			return
		}
		// Structs are read by the batch: a block may hold millions of small ones.
		batch := max(1, windowSize/kind.size)
		for first := int64(0); first < e.count; first += batch {
			n := min(batch, e.count-first)
			data, err := b.slice(first*kind.size, n*kind.size)
			if err != nil {
				yield(Struct{}, err)
				return
			}
			for at := e.at + first*kind.size; len(data) > 0; at, data = at+kind.size, data[kind.size:] {
				if !yield(Struct{b.file, e.owner, kind, at, data[:kind.size]}, nil) {
					return
				}
			}
		}
	}
}

// Struct reads the block's first struct; ok is false if it has none.
func (b Block) Struct() (s Struct, ok bool, err error) {
	for s, err := range b.Structs() {
		return s, err == nil, err
	}
	return Struct{}, false, nil
}

// text reads the block as one text, up to its first NUL.
func (b Block) text() (string, error) {
	data, err := b.slice(0, min(b.entry().size, maxText))
	if err != nil {
		return "", err
	}
	return cut(data), nil
}

// maxText bounds a text in a block of its own, such as a path that has no fixed length.
const maxText = 64 << 10

func cut(data []byte) string {
	if end := bytes.IndexByte(data, 0); end >= 0 {
		data = data[:end]
	}
	return string(data)
}
