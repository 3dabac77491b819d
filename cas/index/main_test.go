package index

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

func TestMain(m *testing.M) {
	if mostDraws != "" {
		if err := flag.Set("rapid.checks", mostDraws); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

func openTest(t testing.TB) *Index {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "index.db"))
}

func openAt(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// digestFor and idFor name things by numbers.
func digestFor(n int) cas.Digest { return cas.SumBytes(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func idFor(n int) chunk.ID { return chunk.Sum(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func itemFor(n, size int) pack.Item {
	return pack.Item{ID: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))), Length: size}
}

// placeAt is the place of the frame with that number.
func placeAt(n int) pack.Place {
	return pack.Place{Pack: uint64(1 + n/10), Offset: int64(15 + 100*(n%10)), Length: 100}
}

// recipeFor is a recipe of the blob with that number, with the chunks of these numbers.
func recipeFor(t testing.TB, blob int, chunks ...int) chunk.Recipe {
	t.Helper()
	digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(blob)))
	b := binary.AppendUvarint([]byte{1}, uint64(len(chunks)*chunk.MinSize))
	b = append(append(b, digest[:]...), 0)
	b = binary.AppendUvarint(b, uint64(len(chunks)))
	for _, c := range chunks {
		id := idFor(c).Bytes()
		b = append(binary.AppendUvarint(b, chunk.MinSize<<1|1), id[:]...)
	}
	recipe, err := chunk.DecodeRecipe(b)
	if err != nil {
		t.Fatal(err)
	}
	return recipe
}

func recipeAddition(frame int, recipe chunk.Recipe) Addition {
	return Addition{
		Place: placeAt(frame), Kind: pack.RecipeKind, Recipe: &recipe,
		Items: []pack.Item{{ID: recipe.ID().Bytes(), Length: 100}},
	}
}

func mustAdd(t testing.TB, x *Index, additions ...Addition) {
	t.Helper()
	if err := x.Add(t.Context(), additions); err != nil {
		t.Fatal(err)
	}
}
