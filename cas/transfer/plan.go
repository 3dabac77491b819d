package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// ChunkAsker is an [Asker] that can be asked for the chunks of large blobs too.
type ChunkAsker interface {
	Asker
	// Ask answers as [Sessions].Begin would, and begins nothing.
	Ask(ctx context.Context, encoded []byte) (Session, error)
}

// Plan says what [Send] would send: BytesTravelled counts only the questions. A store that is no [ChunkAsker] is taken for
// lacking all chunks of a large blob that it lacks. BytesNew is exact, save where two large blobs that travel side by side
// have chunks in common: these are counted once, and may travel twice.
func Plan(ctx context.Context, asker Asker, sources []Source) (Report, error) {
	p := plan{asker: asker, counted: make(map[chunk.ID]bool)}
	var asked []Source
	seen := make(map[cas.Blob]bool, len(sources))
	for _, source := range sources {
		if seen[source.Blob] {
			continue
		}
		seen[source.Blob] = true
		p.report.Blobs, p.report.Bytes = p.report.Blobs+1, p.report.Bytes+source.Blob.Size
		if !source.Known {
			asked = append(asked, source)
		}
	}
	for part := range slices.Chunk(asked, MaxAsked) {
		if err := p.ask(ctx, part); err != nil {
			return p.report, err
		}
	}
	return p.report, nil
}

// plan is one run of [Plan].
type plan struct {
	asker   Asker
	report  Report
	counted map[chunk.ID]bool // chunks in BytesNew
}

func (p *plan) ask(ctx context.Context, sources []Source) error {
	blobs := make([]cas.Blob, len(sources))
	for i, source := range sources {
		blobs[i] = source.Blob
	}
	p.report.BytesTravelled += int64(questionSize(len(blobs)))
	lacking, err := ask(ctx, p.asker, blobs)
	if err != nil {
		return fmt.Errorf("ask which of %d files are lacking: %w", len(blobs), err)
	}
	for i, source := range sources {
		if !lacking[i] {
			continue
		}
		p.report.BlobsSent, p.report.BytesSent = p.report.BlobsSent+1, p.report.BytesSent+source.Blob.Size
		fresh, err := p.newIn(ctx, source)
		if err != nil {
			return fmt.Errorf("ask what is new in %s: %w", source.Name, err)
		}
		p.report.BytesNew += fresh
	}
	return nil
}

// newIn counts the bytes of a lacking source that the store has in no file.
func (p *plan) newIn(ctx context.Context, source Source) (fresh int64, err error) {
	asker, ok := p.asker.(ChunkAsker)
	if !ok || source.Blob.Size <= maxSmall {
		return source.Blob.Size, nil
	}
	recipe, err := recipeOf(ctx, source)
	if err != nil {
		return 0, err
	}
	var would Session
	err = announce(recipe, source.Base, func(encoded []byte) (err error) {
		p.report.BytesTravelled += int64(len(encoded))
		would, err = asker.Ask(ctx, encoded)
		return err
	})
	if err == nil {
		err = would.check(recipe)
	}
	if err != nil || would.Stored {
		return 0, err
	}
	at := 0
	for c := range recipe.Chunks() {
		if would.Lacking[at] && !p.counted[c.ID] {
			p.counted[c.ID] = true
			fresh += int64(c.Length)
		}
		at++
	}
	return fresh, nil
}

// recipeOf reads a source that nobody has cut yet.
func recipeOf(ctx context.Context, source Source) (chunk.Recipe, error) {
	if source.Recipe.Blob() == source.Blob {
		return source.Recipe, nil
	}
	file, err := source.Open()
	if err != nil {
		return chunk.Recipe{}, err
	}
	defer file.Close() //nolint:errcheck // It was only read.
	return cutOnce(ctx, source, file)
}

// announce says a recipe by a delta, if there is a base and that is shorter, and in full if the store does not know the
// base.
func announce(recipe, base chunk.Recipe, say func(encoded []byte) error) error {
	encoded, err := recipe.MarshalBinary()
	if err != nil {
		return err
	}
	if base.Blob() == (cas.Blob{}) {
		return say(encoded)
	}
	delta := recipe.AppendDelta(nil, base)
	if len(delta) >= len(encoded) {
		return say(encoded)
	}
	if err := say(delta); !errors.Is(err, ErrUnknownBase) {
		return err
	}
	return say(encoded)
}
