package disk

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hayloft/cas"
	"hayloft/cas/castest"
)

// TestBundleGivesBlobsInOrder asks for packed blobs and whole ones, some of them twice, one of them empty.
func TestBundleGivesBlobsInOrder(t *testing.T) {
	store := reopen(t, t.TempDir())
	contents := append(smallOnes(1, 30), large("whole"))
	for _, content := range contents {
		put(t, store, content)
	}
	contents = append([][]byte{contents[30], contents[7]}, contents...)
	var digests []cas.Digest
	for _, content := range contents {
		digests = append(digests, cas.SumBytes(content))
	}
	bundle, err := store.Bundle(t.Context(), digests)
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	err = bundle.Each(t.Context(), func(blob cas.Blob, data []byte) error {
		if want := contents[given]; blob != castest.BlobOf(want) || blob != bundle.Blobs()[given] || !bytes.Equal(data, want) {
			t.Errorf("blob %d is %v with %d bytes, want %d", given, blob, len(data), len(want))
		}
		given++
		return nil
	})
	if err != nil || given != len(contents) {
		t.Errorf("%d of %d blobs came: %v", given, len(contents), err)
	}
	stop := errors.New("enough")
	if err := bundle.Each(t.Context(), func(cas.Blob, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Each did not pass on the error of its visitor, but %v", err)
	}
}

func TestBundleOfWhatLacks(t *testing.T) {
	store := reopen(t, t.TempDir())
	put(t, store, []byte("there"))
	lacking := cas.SumBytes([]byte("never stored"))
	_, err := store.Bundle(t.Context(), []cas.Digest{cas.SumBytes([]byte("there")), lacking})
	if !errors.Is(err, cas.ErrNotFound) || !strings.Contains(err.Error(), lacking.String()) {
		t.Errorf("a bundle of a blob that is not stored: %v, want ErrNotFound that names it", err)
	}
}
