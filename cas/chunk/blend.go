package chunk

import (
	"encoding/binary"
	"io"
)

// SmallPayload is the length in bytes up to which a block's payload joins the literal stream. A longer one is cut alone.
const SmallPayload = 4 << 10

const (
	// walkWindow is how much is read around a head: small blocks come hundreds to a read.
	walkWindow = 16 << 10
	// mostSpans bounds the memory of a walk to 64 MiB. It takes 16 GiB of payloads just above SmallPayload to reach it.
	mostSpans = 4 << 20
)

// blendForm is how a .blend file writes its block heads.
type blendForm struct {
	header int64 // bytes before the first head
	head   int64 // bytes of a head
	length func(head []byte) int64
}

// BlendSpans walks the block heads of a plain (not compressed) .blend file of the given size and returns the payloads
// longer than [SmallPayload], in order; no two touch, as a head lies between. It reads no payload and no type tables.
//
// sure is false on any doubt about the structure, and for anything that is no .blend file, unreadable files included: an
// unknown header, a code that is not letters, digits and closing NULs, a length that leaves the file, bytes after the
// last block, no last block. The work is at most that of reading the file once.
func BlendSpans(r io.ReaderAt, size int64) (spans []Range, sure bool) {
	w := walker{file: r, size: size}
	form, known := w.form()
	if !known {
		return nil, false
	}
	for offset := form.header; ; {
		code, readable := w.at(offset, 4)
		if !readable || !plausibleCode(code) {
			return nil, false
		}
		if string(code) == "ENDB" {
			if size-offset > form.head { // less is usual: the head may be cut short after the code
				return nil, false
			}
			return spans, true
		}
		head, readable := w.at(offset, form.head)
		if !readable {
			return nil, false
		}
		payload := Range{Offset: offset + form.head, Length: form.length(head)}
		if payload.Length < 0 || payload.Length > size-payload.Offset {
			return nil, false
		}
		if payload.Length > SmallPayload {
			if len(spans) == mostSpans {
				return nil, false
			}
			spans = append(spans, payload)
		}
		offset = payload.End()
	}
}

// walker reads a file through a window that moves forward only.
type walker struct {
	file   io.ReaderAt
	size   int64
	start  int64 // offset of the window in the file
	window []byte
	buffer [walkWindow]byte
}

// at gives n bytes, at most walkWindow, at an offset not before earlier ones. They are valid until the next call.
func (w *walker) at(offset, n int64) (data []byte, readable bool) {
	if n > w.size-offset {
		return nil, false
	}
	if offset+n > w.start+int64(len(w.window)) {
		w.start, w.window = offset, w.buffer[:min(walkWindow, w.size-offset)]
		if got, _ := w.file.ReadAt(w.window, offset); got < len(w.window) {
			return nil, false
		}
	}
	at := offset - w.start
	return w.window[at : at+n], true
}

// form reads the file's header: "BLENDER", pointer size, byte order and three digits, or, from Blender 5.0 on, "BLENDER",
// the length of the header, and a format number that fixes the rest.
func (w *walker) form() (form blendForm, known bool) {
	header, readable := w.at(0, 12)
	if !readable || string(header[:7]) != "BLENDER" {
		return blendForm{}, false
	}
	if string(header[7:12]) == "17-01" {
		header, readable = w.at(0, 17)
		return blendForm{header: 17, head: 32, length: largeLength}, readable && header[12] == 'v' && digits(header[13:])
	}
	form = blendForm{header: 12, length: littleLength}
	switch header[7] {
	case '_':
		form.head = 20
	case '-':
		form.head = 24
	default:
		return blendForm{}, false
	}
	switch header[8] {
	case 'v':
	case 'V':
		form.length = bigLength
	default:
		return blendForm{}, false
	}
	return form, digits(header[9:])
}

func littleLength(head []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(head[4:]))) }
func bigLength(head []byte) int64    { return int64(int32(binary.BigEndian.Uint32(head[4:]))) }

// largeLength: 64 bits, after the code, the type and the 8-byte address.
func largeLength(head []byte) int64 { return int64(binary.LittleEndian.Uint64(head[16:])) }

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// plausibleCode tells whether four bytes can be a block's code: capitals, small letters or digits, two at least, and
// NULs to fill up.
func plausibleCode(code []byte) bool {
	letters := 0
	for letters < len(code) && isAlphanumeric(code[letters]) {
		letters++
	}
	for _, c := range code[letters:] {
		if c != 0 {
			return false
		}
	}
	return letters >= 2
}

func isAlphanumeric(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}
