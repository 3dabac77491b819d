package intake

import (
	"testing"

	"hayloft/cas"
)

func TestAFullSetOfLeasesKeepsEverything(t *testing.T) {
	l := leases{term: 10, max: 2}
	blob := func(text string) cas.Blob { return cas.Blob{Digest: cas.SumBytes([]byte(text))} }
	l.take(0, []cas.Blob{blob("a"), blob("a"), blob("b")})
	if l.has(0, blob("c").Digest) {
		t.Fatal("two blobs fill the set")
	}
	l.take(0, []cas.Blob{blob("c")})
	for _, text := range []string{"a", "c", "never asked for"} {
		if !l.has(19, blob(text).Digest) {
			t.Errorf("%s may be deleted", text)
		}
	}
	if len(l.old.blobs) != 2 {
		t.Errorf("%d blobs in a set of 2", len(l.old.blobs))
	}
	if l.has(20, blob("a").Digest) {
		t.Error("a full set never ends")
	}
}
