package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/intake"
	"hayloft/cas/pack"
)

func TestALaneGoesOnAtAnyByte(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	stream := want.lane(nil)
	places := []int{0, 1, 2, 40, len(stream) - 1, len(stream)}
	for border := range slices.Values(borders(want)) {
		places = append(places, border-1, border, border+1, border+37)
	}
	for at := 5000; at < len(stream); at += 30011 {
		places = append(places, at)
	}
	for _, at := range places {
		at = min(at, len(stream))
		s := f.begin(t, want.encoded)
		f.send(t, s.ID, "a", 0, stream[:at])
		s = f.begin(t, want.encoded)
		if s.Lanes["a"] != int64(at) {
			t.Fatalf("after %d bytes the lane is at %d", at, s.Lanes["a"])
		}
		f.send(t, s.ID, "a", int64(at), stream[at:])
		s = f.begin(t, want.encoded)
		if slices.Contains(s.Lacking, true) {
			t.Fatalf("cut at %d: chunks are lacking at the end: %v", at, s.Lacking)
		}
		if err := f.Cancel(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	s := f.begin(t, want.encoded)
	f.send(t, s.ID, "a", 0, stream)
	f.commit(t, s.ID, want)
}

// borders gives the lengths of the frames of lane, added up.
func borders(f file) (ends []int) {
	end := 0
	for at := range f.order {
		end += len(f.frame(at))
		ends = append(ends, end)
	}
	return ends
}

func TestABodyThatBreaksOffIsResumed(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	stream := want.lane(nil)
	s := f.begin(t, want.encoded)
	half := len(stream) / 2
	body := io.MultiReader(iotest.OneByteReader(bytes.NewReader(stream[:half])), iotest.ErrReader(io.ErrUnexpectedEOF))
	next, err := f.Append(t.Context(), s.ID, "a", 0, body)
	if next != int64(half) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("next %d of %d: %v", next, half, err)
	}
	f.send(t, s.ID, "a", next, stream[half:])
	f.commit(t, s.ID, want)
}

func TestAWrongOffsetNamesTheRightOne(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	stream := want.lane(nil)
	s := f.begin(t, want.encoded)
	f.send(t, s.ID, "a", 0, stream[:100])
	for _, offset := range []int64{-1, 0, 99, 101, 1 << 62} {
		next, err := f.Append(t.Context(), s.ID, "a", offset, bytes.NewReader(stream))
		var wrong *intake.OffsetError
		if !errors.As(err, &wrong) || wrong.Want != 100 || next != 100 {
			t.Errorf("at %d: next %d, %v", offset, next, err)
		}
	}
	if _, err := f.Append(t.Context(), s.ID, "b", 5, bytes.NewReader(nil)); !errors.As(err, new(*intake.OffsetError)) {
		t.Errorf("a lane that begins at 5: %v", err)
	}
}

func TestABadFrameIsRefusedAndTheLaneGoesOn(t *testing.T) {
	want, other := someFile(t), cut(t, noise(9, 100<<10))
	wrong := want.frame(1)
	wrong[len(wrong)-1] ^= 1
	short := pack.Append(nil, pack.ChunkKind, []pack.Item{{ID: want.order[1].ID.Bytes(), Length: 3}}, []byte("abc"))
	for name, c := range map[string]struct {
		frame []byte
		want  error // nil: any
	}{
		"wrong id":      {wrong, nil},
		"wrong length":  {short, pack.ErrWrongID},
		"zstd bomb":     {bomb(t, pack.ChunkKind, 1<<20, 64<<20), pack.ErrBadFrame},
		"a blob":        {blobFrame([]byte("x")), pack.ErrBadFrame},
		"not a frame":   {[]byte("not a frame at all"), pack.ErrBadFrame},
		"another chunk": {other.frame(0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, intake.Config{})
			s := f.begin(t, want.encoded)
			good := want.frame(0)
			next, err := f.Append(t.Context(), s.ID, "a", 0, bytes.NewReader(append(bytes.Clone(good), c.frame...)))
			if err == nil || !errors.Is(err, c.want) && c.want != nil || next != int64(len(good)) {
				t.Fatalf("next %d of %d: %v", next, len(good), err)
			}
			f.send(t, s.ID, "a", next, want.lane(nil)[next:])
			f.commit(t, s.ID, want)
		})
	}
}

func TestARecipeThatLiesLeavesNothing(t *testing.T) {
	want := someFile(t)
	for name, lie := range map[string]func() []byte{
		"wrong order": func() []byte { return rewrite(want, want.recipe.Blob(), swapped(want.order)) },
		"wrong blob": func() []byte {
			return rewrite(want, cas.Blob{Digest: cas.SumBytes(nil), Size: want.recipe.Blob().Size}, want.order)
		},
		"a chunk twice": func() []byte {
			twice := slices.Clone(want.order)
			for at := range twice[:len(twice)-1] {
				twice[at] = twice[0]
			}
			blob := want.recipe.Blob()
			blob.Size = sum(twice)
			return rewrite(want, blob, twice)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, intake.Config{})
			s := f.begin(t, lie())
			for at, c := range want.order {
				if bytes.Contains(lie(), id(c)) {
					f.send(t, s.ID, fmt.Sprint("lane", at), 0, want.frame(at))
				}
			}
			err := f.Commit(t.Context(), s.ID)
			if !errors.Is(err, cas.ErrDigestMismatch) {
				t.Fatalf("a lie was believed: %v", err)
			}
			f.lacks(t, s.Blob)
			if _, err := f.Session(t.Context(), s.ID); !errors.Is(err, intake.ErrNoSession) {
				t.Errorf("the session of a lie lives on: %v", err)
			}
			if left := f.leftovers(t); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
			honest := f.begin(t, want.encoded)
			f.send(t, honest.ID, "a", 0, want.lane(honest.Lacking))
			f.commit(t, honest.ID, want)
		})
	}
}

func id(c chunk.Chunk) []byte {
	raw := c.ID.Bytes()
	return raw[:]
}

func count(set []bool) (n int) {
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}

func sum(chunks []chunk.Chunk) (size int64) {
	for _, c := range chunks {
		size += int64(c.Length)
	}
	return size
}

func swapped(order []chunk.Chunk) []chunk.Chunk {
	order = slices.Clone(order)
	order[0], order[1] = order[1], order[0]
	return order
}

// rewrite encodes a recipe of plain chunks, true or not, as the comment of package chunk describes it.
func rewrite(f file, blob cas.Blob, order []chunk.Chunk) []byte {
	raw := rawDigest(blob.Digest)
	b := append(appendUvarint([]byte{1}, int(blob.Size)), raw[:]...)
	b = appendUvarint(append(b, 0), len(order))
	for _, c := range order {
		id := c.ID.Bytes()
		b = append(appendUvarint(b, c.Length*2+1), id[:]...)
	}
	return b
}

func TestAMalformedRecipeIsRefused(t *testing.T) {
	f := newFarm(t, intake.Config{MaxChunks: 100})
	want := someFile(t)
	million := slices.Repeat([]chunk.Chunk{{ID: want.order[0].ID, Length: 1}}, 1_000_000)
	long := slices.Repeat(want.order[:1], 101)
	delta := want.recipe.AppendDelta(nil, cut(t, noise(4, 100<<10)).recipe)
	for name, c := range map[string]struct {
		encoded []byte
		want    error
	}{
		"nothing":                      {nil, chunk.ErrBadRecipe},
		"text":                         {[]byte("hello"), chunk.ErrBadRecipe},
		"cut off":                      {want.encoded[:len(want.encoded)-1], chunk.ErrBadRecipe},
		"a million chunks of one byte": {rewrite(want, cas.Blob{Size: 1_000_000}, million), chunk.ErrBadRecipe},
		"wrong sum":                    {rewrite(want, cas.Blob{Size: 1}, want.order), chunk.ErrBadRecipe},
		"too many chunks":              {rewrite(want, cas.Blob{Size: sum(long)}, long), intake.ErrTooLarge},
		"too long":                     {make([]byte, 64<<20+1), intake.ErrTooLarge},
		"delta of nothing we know":     {delta, intake.ErrUnknownBase},
		"delta cut off":                {delta[:20], chunk.ErrBadRecipe},
	} {
		if _, err := f.Begin(t.Context(), c.encoded); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := f.leftovers(t); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestANewVersionComesAsDelta(t *testing.T) {
	f := newFarm(t, intake.Config{})
	old := cut(t, noise(5, 3<<20))
	s := f.begin(t, old.encoded)
	f.send(t, s.ID, "a", 0, old.lane(nil))
	f.commit(t, s.ID, old)
	next := cut(t, slices.Concat(old.data[:1<<20], []byte("something new"), old.data[1<<20:]))
	s = f.begin(t, next.recipe.AppendDelta(nil, old.recipe))
	if lacking := count(s.Lacking); lacking == 0 || lacking > 4 {
		t.Fatalf("%d chunks of %d are lacking", lacking, len(s.Lacking))
	}
	f.send(t, s.ID, "a", 0, next.lane(s.Lacking))
	f.commit(t, s.ID, next)
}

func TestTwoClientsShareASession(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := cut(t, noise(6, 4<<20))
	var clients sync.WaitGroup
	failures := make(chan error, 4)
	for n := range 4 {
		clients.Go(func() { failures <- upload(t.Context(), f, want, fmt.Sprint("lane", n)) })
	}
	clients.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
	f.holds(t, want.data)
	if left := f.leftovers(t); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// upload is a whole client that does not know of others.
func upload(ctx context.Context, f *farm, want file, lane string) error {
	for {
		s, err := f.Begin(ctx, want.encoded)
		if err != nil || s.Stored {
			return err
		}
		if !slices.Contains(s.Lacking, true) {
			if err = f.Commit(ctx, s.ID); err == nil {
				return nil
			}
		} else {
			_, err = f.Append(ctx, s.ID, lane, s.Lanes[lane], bytes.NewReader(want.lane(s.Lacking)))
		}
		if err != nil && !errors.Is(err, intake.ErrNoSession) && !errors.As(err, new(*intake.IncompleteError)) {
			return err
		}
	}
}

func TestACommitWithoutAllChunksNamesThem(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	f.send(t, s.ID, "a", 0, want.frame(1))
	err := f.Commit(t.Context(), s.ID)
	var incomplete *intake.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Lacking[1] || count(incomplete.Lacking) != len(want.order)-1 {
		t.Fatalf("%v", err)
	}
	f.lacks(t, s.Blob)
	f.send(t, s.ID, "b", 0, want.lane(incomplete.Lacking))
	f.commit(t, s.ID, want)
}

func TestALaneHasOneWriter(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	body, feed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := f.Append(t.Context(), s.ID, "a", 0, body)
		ended <- err
	}()
	stream := want.lane(nil)
	if _, err := feed.Write(stream[:10]); err != nil { // so that the writer has the lane
		t.Fatal(err)
	}
	if _, err := f.Append(t.Context(), s.ID, "a", 0, bytes.NewReader(stream)); !errors.Is(err, intake.ErrLaneBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := f.Cancel(t.Context(), s.ID); !errors.Is(err, intake.ErrLaneBusy) {
		t.Errorf("cancelled under the writer's hands: %v", err)
	}
	if _, err := feed.Write(stream[10:]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(feed.Close(), <-ended); err != nil {
		t.Fatal(err)
	}
	f.commit(t, s.ID, want)
}

func TestLanesAreBounded(t *testing.T) {
	f := newFarm(t, intake.Config{})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	for n := range 17 {
		f.send(t, s.ID, fmt.Sprint("lane", n), 0, want.frame(0)[:50])
		f.clock.set(time.Second)
	}
	s = f.begin(t, want.encoded)
	if _, known := s.Lanes["lane0"]; known || len(s.Lanes) != 16 {
		t.Errorf("lanes %v", s.Lanes)
	}
	for _, name := range []string{"", "a/b", "a b", "ü", string(make([]byte, 65))} {
		if _, err := f.Append(t.Context(), s.ID, name, 0, bytes.NewReader(nil)); !errors.Is(err, intake.ErrBadLane) {
			t.Errorf("lane %q: %v", name, err)
		}
	}
}

func TestTailsAreBounded(t *testing.T) {
	f := newFarm(t, intake.Config{MaxTails: 100})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	stream := want.lane(nil)
	f.send(t, s.ID, "a", 0, stream[:60])
	first := len(want.frame(0))
	next, err := f.Append(t.Context(), s.ID, "b", 0, bytes.NewReader(stream[:first+60]))
	if err != nil || next != int64(first) {
		t.Fatalf("lane b goes on at %d instead of its last border %d: %v", next, first, err)
	}
	f.send(t, s.ID, "a", 60, stream[60:]) // which makes room
	f.send(t, s.ID, "b", next, stream[first:first+60])
	f.commit(t, s.ID, want)
}

func TestStreamsWaitForTheirTurn(t *testing.T) {
	f := newFarm(t, intake.Config{MaxStreams: 1})
	want := someFile(t)
	s := f.begin(t, want.encoded)
	body, feed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := f.TakeFiles(t.Context(), body)
		ended <- err
	}()
	if _, err := feed.Write(blobFrame([]byte("x"))[:1]); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Append(impatient, s.ID, "a", 0, bytes.NewReader(want.lane(nil))); !errors.Is(err, context.Canceled) {
		t.Errorf("a second stream did not wait: %v", err)
	}
	feed.CloseWithError(errBroken)
	if err := <-ended; !errors.Is(err, errBroken) {
		t.Error(err)
	}
	f.send(t, s.ID, "a", 0, want.lane(nil))
	f.commit(t, s.ID, want)
}
