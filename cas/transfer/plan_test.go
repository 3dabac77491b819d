package transfer_test

import (
	"slices"
	"testing"

	"hayloft/cas/chunk"
	"hayloft/cas/transfer"
)

// TestPlanCountsWhatIsNew: of a large file that was changed in one place, a plan counts the bytes that then travel, asked
// in whatever way, and it leaves nothing behind.
func TestPlanCountsWhatIsNew(t *testing.T) {
	s := openSite(t)
	to := transfer.Local(s.intake)
	cut := func(name string, data []byte) transfer.Source {
		source := content(name, data)
		source.Recipe = recipeOf(t, data)
		return source
	}
	data := noise(1, 6<<20)
	before := cut("scene.blend", data)
	if report, err := transfer.Send(t.Context(), to, []transfer.Source{before}, transfer.Options{}); err != nil || report.BytesNew != before.Blob.Size {
		t.Fatalf("%+v, %v", report, err)
	}
	data = slices.Clone(data)
	copy(data[3<<20:], "changed")
	uncut := content("scene.blend", data)
	after := cut("scene.blend", data)
	after.Base = before.Recipe
	strange := after
	strange.Base = recipeOf(t, noise(2, 3<<20))

	var planned []transfer.Report
	for name, ask := range map[string]struct {
		asker  transfer.Asker
		source transfer.Source
	}{
		"by a delta":            {to, after},
		"not cut yet":           {to, uncut},
		"an unknown base":       {to, strange},
		"open for reading only": {transfer.In(&s.store.View), after},
	} {
		report, err := transfer.Plan(t.Context(), ask.asker, []transfer.Source{ask.source, ask.source})
		if err != nil || report.Blobs != 1 || report.BytesSent != after.Blob.Size || report.BytesNew > 4*chunk.MaxSize || report.BytesNew == 0 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		planned = append(planned, report)
	}
	if left, err := s.store.Assemblies(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("the plans left %v, %v", left, err)
	}
	report, err := transfer.Send(t.Context(), to, []transfer.Source{after}, transfer.Options{})
	for _, p := range planned {
		if err != nil || p.BytesNew != report.BytesNew {
			t.Errorf("planned %d new bytes, and then %d, %v", p.BytesNew, report.BytesNew, err)
		}
	}
	if again, err := transfer.Plan(t.Context(), to, []transfer.Source{after}); err != nil || again.BytesNew != 0 || again.BlobsSent != 0 {
		t.Errorf("planned again: %+v, %v", again, err)
	}
}
