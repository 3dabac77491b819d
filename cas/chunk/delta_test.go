package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hayloft/cas"
)

// drawRecipe draws a recipe with a few ids, so that runs repeat and nearly repeat.
func drawRecipe(t *rapid.T, label string) Recipe {
	few := rapid.IntRange(1, 30).Draw(t, label+" ids")
	draw := rapid.Custom(func(t *rapid.T) part {
		id := Sum([]byte{byte(rapid.IntRange(0, few).Draw(t, "id"))})
		return part{id: id, length: MinSize + int64(id.sum[0])}
	})
	var r Recipe
	for i, p := range rapid.SliceOfN(draw, 0, 60).Draw(t, label) {
		if i%4 == 3 {
			n := rapid.Int64Range(1, 3).Draw(t, "literal")
			r.parts, r.blob.Size = append(r.parts, part{length: n}), r.blob.Size+n
		}
		r.parts, r.blob.Size = append(r.parts, p), r.blob.Size+p.length
	}
	literal := int64(0)
	for _, p := range r.parts {
		if p.isLiteral() {
			literal += p.length
		}
	}
	if literal > 0 {
		r.literals = []part{{id: Sum([]byte(label)), length: literal}}
	}
	r.blob.Digest = cas.SumBytes([]byte(label))
	return r
}

func TestDeltaComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, recipe := drawRecipe(t, "base"), drawRecipe(t, "recipe")
		if err := recipe.check(); err != nil {
			t.Fatalf("the test draws what cannot be: %v", err)
		}
		delta := recipe.AppendDelta(nil, base)
		got, err := DecodeDelta(delta, base)
		if err != nil || got.ID() != recipe.ID() {
			t.Fatalf("the recipe comes back changed (%v)", err)
		}
		if id, err := DeltaBase(delta); err != nil || id != base.ID() {
			t.Fatalf("the delta names another base (%v)", err)
		}
	})
}

func TestDeltaIsSmall(t *testing.T) {
	before, after := twoVersions(t)
	if n := len(before.AppendDelta(nil, before)); n > 80 {
		t.Errorf("%d bytes to say that nothing changed", n)
	}
	whole, delta := len(encoded(after)), len(after.AppendDelta(nil, before))
	fresh := 0
	for i, p := range slices.Concat(after.literals, after.parts) {
		if !slices.Contains(before.literals, p) && !slices.Contains(before.parts, p) {
			t.Logf("part %d is new", i)
			fresh++
		}
	}
	if limit := 80 + fresh*(IDSize+8); delta > limit || delta > whole/2 {
		t.Errorf("%d new parts take %d bytes as a delta, %d as a whole; the limit is %d", fresh, delta, whole, limit)
	}
}

// TestDeltaOfOneThingForEver: copies of copies are bounded, so the rest is written out, in time linear in its length.
func TestDeltaOfOneThingForEver(t *testing.T) {
	zeros := part{id: Sum(make([]byte, MaxSize)), length: MaxSize}
	of := func(n int) Recipe {
		return Recipe{blob: cas.Blob{Digest: cas.SumBytes(nil), Size: int64(n) * MaxSize}, parts: repeat(n, zeros)}
	}
	base, recipe := of(1000), of(50_000)
	got, err := DecodeDelta(recipe.AppendDelta(nil, base), base)
	if err != nil || got.ID() != recipe.ID() {
		t.Errorf("the recipe comes back changed (%v)", err)
	}
}

func TestDeltasThatCannotBe(t *testing.T) {
	before, after := twoVersions(t)
	good := after.AppendDelta(nil, before)
	if _, err := DecodeDelta(good, after); !errors.Is(err, ErrWrongBase) {
		t.Errorf("against another base: %v", err)
	}
	head := good[:1+IDSize+3+cas.Size] // the size takes three bytes
	ops := func(numbers ...uint64) []byte {
		b := bytes.Clone(head)
		for _, n := range numbers {
			b = binary.AppendUvarint(b, n)
		}
		return b
	}
	n := uint64(len(before.parts))
	for name, test := range map[string]struct {
		encoding []byte
		want     error
	}{
		"nothing":               {nil, ErrTruncated},
		"a recipe":              {encoded(after), ErrVersion},
		"no base":               {append([]byte{deltaVersion}, make([]byte, IDSize)...), ErrChunkName},
		"bytes after the end":   {append(bytes.Clone(good), 0), ErrTrailing},
		"bomb":                  {ops(0, 1<<40), ErrTooMany},
		"empty op":              {ops(0, 1, copyOp, 0), ErrTooMany},
		"op beyond the count":   {ops(0, 1, 2<<1|copyOp, 0), ErrTooMany},
		"copy before the base":  {ops(0, 1, 1<<1|copyOp, 1), ErrNumber},
		"copy beyond the base":  {ops(0, 1, 1<<1|copyOp, n<<1), ErrNumber},
		"copy far away":         {ops(0, 1, 1<<1|copyOp, 1<<63-1), ErrNumber},
		"copies without end":    {ops(0, 2*n+1, n<<1|copyOp, 0, n<<1|copyOp, n<<1-1, 1<<1|copyOp, n<<1-1, 0, 0), ErrTooMany},
		"a literal too much":    {ops(0, 1, 1<<1|freshOp, 5<<1|literalPart), ErrSum},
		"chunk that is missing": {ops(0, 1, 1<<1|freshOp, 5<<1|chunkPart), ErrTruncated},
	} {
		if _, err := DecodeDelta(test.encoding, before); !errors.Is(err, ErrBadRecipe) || !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if _, err := DecodeDelta(good[:n], before); !errors.Is(err, ErrBadRecipe) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func FuzzDecodeDelta(f *testing.F) {
	before, after := twoVersions(f)
	prefix := after.AppendDelta(nil, before)[:1+IDSize]
	f.Add(after.AppendDelta(nil, before)[len(prefix):])
	f.Add(before.AppendDelta(nil, before)[len(prefix):])
	f.Fuzz(func(t *testing.T, b []byte) {
		recipe, err := DecodeDelta(append(bytes.Clone(prefix), b...), before)
		if err != nil {
			if !errors.Is(err, ErrBadRecipe) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		sound(t, recipe)
		back, err := DecodeRecipe(encoded(recipe))
		if err != nil || back.ID() != recipe.ID() {
			t.Errorf("a recipe that a delta made is no recipe: %v", err)
		}
		again, err := DecodeDelta(recipe.AppendDelta(nil, before), before)
		if err != nil || again.ID() != recipe.ID() {
			t.Errorf("the recipe comes back changed: %v", err)
		}
	})
}
