package frame

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxDecoded bounds the pixels of an image that is decoded in memory, at up to eight bytes a pixel. Larger images have
// their structure checked instead.
const maxDecoded = 64 << 20

// ErrBroken says that a file is not a whole frame.
var ErrBroken = errors.New("not a whole image")

// Report is what Check learned of a whole frame.
type Report struct {
	Size    int64       // bytes
	Image   image.Image // decoded PNG or JPEG; nil for other formats and for very large images
	Warning string      // a sentence about suspicious pixels, or empty
}

// Check reads a frame's file and decides whether it is whole. PNG and JPEG are decoded, OpenEXR and TIFF have their
// tables checked, other formats only have to be non-empty. What is not whole gives ErrBroken with the reason, a file
// that cannot be read the system's error.
func Check(path string) (Report, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Report{}, fmt.Errorf("look at frame: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Report{}, broken(path, "it is not a regular file")
	}
	if info.Size() == 0 {
		return Report{}, broken(path, "it is empty")
	}
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("open frame: %w", err)
	}
	defer f.Close()
	report := Report{Size: info.Size()}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		report.Image, err = decode(f, png.DecodeConfig, png.Decode, wholePNG)
	case ".jpg", ".jpeg":
		report.Image, err = decode(f, jpeg.DecodeConfig, jpeg.Decode, wholeJPEG)
	case ".exr":
		err = wholeEXR(f, info.Size())
	case ".tif", ".tiff":
		err = wholeTIFF(f, info.Size())
	}
	if err != nil {
		return Report{}, broken(path, err.Error())
	}
	if report.Image != nil {
		report.Warning = suspicion(report.Image)
	}
	return report, nil
}

func broken(path, why string) error {
	return fmt.Errorf("%s is %w: %s", path, ErrBroken, why)
}

// decode decodes an image, or checks only its structure when the pixels would take too much memory.
func decode(f *os.File, config func(io.Reader) (image.Config, error), pixels func(io.Reader) (image.Image, error),
	structure func(*os.File) error) (image.Image, error) {
	c, err := config(bufio.NewReader(f))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if c.Width*c.Height > maxDecoded {
		return nil, structure(f)
	}
	return pixels(bufio.NewReader(f))
}

// wholePNG walks the chunks up to IEND and compares their checksums (PNG specification, section 5.3).
func wholePNG(f *os.File) error {
	r := bufio.NewReader(f)
	if _, err := r.Discard(8); err != nil {
		return err
	}
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("ends before its last chunk: %w", err)
		}
		sum := crc32.NewIEEE()
		sum.Write(head[4:])
		if _, err := io.CopyN(sum, r, int64(binary.BigEndian.Uint32(head[:4]))); err != nil {
			return fmt.Errorf("ends inside a chunk: %w", err)
		}
		var want [4]byte
		if _, err := io.ReadFull(r, want[:]); err != nil {
			return fmt.Errorf("ends inside a chunk: %w", err)
		}
		if sum.Sum32() != binary.BigEndian.Uint32(want[:]) {
			return errors.New("a checksum does not match")
		}
		if bytes.Equal(head[4:], []byte("IEND")) {
			return nil
		}
	}
}

// wholeJPEG looks for the end-of-image marker (ITU T.81, B.1.1.3).
func wholeJPEG(f *os.File) error {
	var tail [2]byte
	if _, err := f.Seek(-2, io.SeekEnd); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, tail[:]); err != nil {
		return err
	}
	if tail != [2]byte{0xff, 0xd9} {
		return errors.New("the end-of-image marker is missing")
	}
	return nil
}

// wholeTIFF checks the header's pointer to the first directory (TIFF 6.0, section 2). Writers set it when the pixels
// are written.
func wholeTIFF(r io.ReaderAt, size int64) error {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("ends inside its header: %w", err)
	}
	var order binary.ByteOrder
	switch string(head[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return errors.New("it does not begin like a TIFF file")
	}
	if at := int64(order.Uint32(head[4:])); at < 8 || at+2 > size {
		return errors.New("its directory was not written")
	}
	return nil
}
