package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/image/draw"

	"hayloft/scheduler"
)

// Bounds of what previews are made from.
const (
	maxImageBytes  = 25 << 20
	maxImagePixels = 40 << 20 // a frame in 8K has 33 million
	previewQueue   = 3        // images of the whole farm that are being received, waiting or in work
	previewQuality = 85
)

// previewSizes are the previews of a job, largest first; each is made from the one before.
var previewSizes = []struct {
	name          string
	width, height int // of the box that the image fits into, in pixels
}{
	{"last-rendered.jpg", 1920, 1080},
	{"last-rendered-small.jpg", 600, 338},
	{"last-rendered-tiny.jpg", 200, 112},
}

func previewNames() []string {
	names := make([]string, len(previewSizes))
	for i, size := range previewSizes {
		names[i] = size.name
	}
	return names
}

// checkImage refuses by the headers what cannot become a preview.
func checkImage(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.ContentLength < 0:
		return errLengthRequired
	case r.ContentLength > maxImageBytes:
		return fmt.Errorf("%w: the image has %d bytes, at most %d are taken", errTooLarge, r.ContentLength, maxImageBytes)
	case err != nil || (kind != "image/jpeg" && kind != "image/png"):
		return fmt.Errorf("%w: %q; send image/jpeg or image/png", errUnsupportedType, r.Header.Get("Content-Type"))
	}
	return nil
}

// previewMaker turns rendered images into previews, one at a time.
type previewMaker struct {
	server *Server
	slots  chan struct{} // taken from the first byte received until the previews are written
	queue  chan renderedImage
}

type renderedImage struct {
	job   scheduler.JobID
	bytes []byte
}

func newPreviewMaker(s *Server) *previewMaker {
	return &previewMaker{
		server: s, slots: make(chan struct{}, previewQueue), queue: make(chan renderedImage, previewQueue),
	}
}

// take reads an image of the given length in bytes and queues it, or returns [errQueueFull] before it read anything.
func (m *previewMaker) take(job scheduler.JobID, body io.Reader, length int64) error {
	select {
	case m.slots <- struct{}{}:
	default:
		return errQueueFull
	}
	image := make([]byte, length)
	if _, err := io.ReadFull(body, image); err != nil {
		<-m.slots
		return fmt.Errorf("%w: the image is shorter than announced: %w", errInvalid, err)
	}
	m.queue <- renderedImage{job: job, bytes: image} // has room for every slot
	return nil
}

func (m *previewMaker) run(ctx context.Context) error {
	for {
		select {
		case rendered := <-m.queue:
			if err := m.make(ctx, rendered); err != nil && ctx.Err() == nil {
				m.server.log.Warn("no previews of a rendered image", "job", rendered.job, "error", err)
			}
			<-m.slots
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *previewMaker) make(ctx context.Context, rendered renderedImage) error {
	picture, err := decodeImage(rendered.bytes)
	if err != nil {
		return err
	}
	dir := m.server.jobFilesDir(rendered.job)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make the folder of previews: %w", err)
	}
	for _, size := range previewSizes {
		picture = fit(picture, size.width, size.height)
		if err := writePreview(filepath.Join(dir, size.name), picture); err != nil {
			return err
		}
	}
	err = m.server.Scheduler.PreviewReady(ctx, rendered.job)
	if errors.Is(err, scheduler.ErrNotFound) {
		// The job was deleted meanwhile, and nobody will come for these files again.
		return errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// decodeImage reads a JPEG or PNG after a look at its size in pixels: a small file can hold a huge picture.
func decodeImage(data []byte) (image.Image, error) {
	decode, config := png.Decode, png.DecodeConfig
	if bytes.HasPrefix(data, []byte{0xff, 0xd8}) {
		decode, config = jpeg.Decode, jpeg.DecodeConfig
	}
	size, err := config(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read the image's size: %w", err)
	}
	if int64(size.Width)*int64(size.Height) > maxImagePixels {
		return nil, fmt.Errorf("%w: %d x %d pixels, at most %d are taken", errTooLarge, size.Width, size.Height, maxImagePixels)
	}
	picture, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode the image: %w", err)
	}
	return picture, nil
}

// fit shrinks a picture into a box and keeps its shape; one that fits stays as it is.
func fit(picture image.Image, width, height int) image.Image {
	w, h := picture.Bounds().Dx(), picture.Bounds().Dy()
	if w <= width && h <= height {
		return picture
	}
	if w*height > h*width {
		h = max(1, h*width/w)
		w = width
	} else {
		w = max(1, w*height/h)
		h = height
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return small
}

// writePreview replaces a preview in one step. It is not synced: the next frame makes a new one.
func writePreview(path string, picture image.Image) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".preview-*")
	if err != nil {
		return fmt.Errorf("write preview: %w", err)
	}
	err = jpeg.Encode(temp, picture, &jpeg.Options{Quality: previewQuality})
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write preview %s: %w", filepath.Base(path), err), os.Remove(temp.Name()))
	}
	return nil
}
