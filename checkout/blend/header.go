package blend

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Header is what the first 12 or 17 bytes of a .blend file say.
type Header struct {
	Version     int // 304 for Blender 3.4, 500 for 5.0
	PointerSize int // bytes: 4 or 8
	BigEndian   bool
	LargeHeads  bool // the 17-byte header of 5.0, with 64-bit block lengths
}

const (
	headerSize      = 12
	largeHeaderSize = 17
)

// String is the version as Blender shows it: "3.4", "2.79".
func (h Header) String() string {
	if h.Version >= 300 {
		return fmt.Sprintf("%d.%d", h.Version/100, h.Version%100)
	}
	return fmt.Sprintf("%d.%02d", h.Version/100, h.Version%100)
}

func (h Header) order() binary.ByteOrder {
	if h.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (h Header) size() int64 {
	if h.LargeHeads {
		return largeHeaderSize
	}
	return headerSize
}

// parseHeader reads "BLENDER-v304" and "BLENDER17-01v0500".
func parseHeader(head []byte) (Header, error) {
	if len(head) < headerSize {
		return Header{}, corrupt("it has only %d bytes", len(head))
	}
	if head[7] >= '0' && head[7] <= '9' {
		return parseLargeHeader(head)
	}
	h := Header{PointerSize: 8, BigEndian: head[8] == 'V'}
	if head[7] == '_' {
		h.PointerSize = 4
	}
	version, err := strconv.ParseUint(string(head[9:12]), 10, 16)
	if err != nil || head[7] != '_' && head[7] != '-' || head[8] != 'v' && head[8] != 'V' {
		return Header{}, corrupt("header %q", head[:headerSize])
	}
	h.Version = int(version)
	return h, nil
}

func parseLargeHeader(head []byte) (Header, error) {
	if string(head[7:12]) != "17-01" {
		return Header{}, fmt.Errorf("header %q: %w", head[:headerSize], ErrNewer)
	}
	if len(head) < largeHeaderSize || head[12] != 'v' {
		return Header{}, corrupt("header %q", head)
	}
	version, err := strconv.ParseUint(string(head[13:17]), 10, 16)
	if err != nil {
		return Header{}, corrupt("header %q", head[:largeHeaderSize])
	}
	return Header{Version: int(version), PointerSize: 8, LargeHeads: true}, nil
}
