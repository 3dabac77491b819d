package worker

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

const (
	previewQuality = 85
	previewLimit   = 25 << 20 // bytes; managers refuse larger ones
)

// previewer sends the newest image of a task. Images that come while it is busy replace each other.
type previewer struct {
	to     gallery
	task   uuid.UUID
	log    *slog.Logger
	newest chan func() (image.Image, error)
	cancel context.CancelFunc
	done   chan struct{}
}

// newPreviewer starts a previewer. Its finish must be called in the end.
func newPreviewer(ctx context.Context, to gallery, task uuid.UUID, log *slog.Logger) *previewer {
	ctx, cancel := context.WithCancel(ctx)
	p := &previewer{to: to, task: task, log: log, newest: make(chan func() (image.Image, error), 1), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for load := range p.newest {
			if err := p.send(ctx, load); err != nil && ctx.Err() == nil {
				p.log.Info("a preview was not sent", "task", p.task, "error", err)
			}
		}
	}()
	return p
}

// offer takes an image to send, unless a newer one comes first. It does not wait. It must not be called after finish.
func (p *previewer) offer(load func() (image.Image, error)) {
	for {
		select {
		case p.newest <- load:
			return
		default:
		}
		select {
		case <-p.newest:
		default:
		}
	}
}

func (p *previewer) send(ctx context.Context, load func() (image.Image, error)) error {
	img, err := load()
	if err != nil || img == nil {
		return err
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: previewQuality}); err != nil {
		return fmt.Errorf("encode preview: %w", err)
	}
	if buf.Len() > previewLimit {
		return fmt.Errorf("a preview of %d bytes is larger than a manager takes", buf.Len())
	}
	return p.to.Preview(ctx, p.task, buf.Bytes())
}

// finish sends the last image if that takes no longer than limit.
func (p *previewer) finish(limit time.Duration) {
	close(p.newest)
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
	p.cancel()
	<-p.done
}
