package shot

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/checkout/blend"
)

// cacheScene writes a scene whose USD cache is the file at a path.
func cacheScene(t *testing.T, scene, cache string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(scene), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(scene)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := blend.Rewrite(t.Context(), filepath.Join("..", "..", "blend", "testdata", "v4_5.blend"), out, func(d blend.Dependency) (string, bool) {
		return cache, d.Datablock == "CFtop.usdc"
	})
	if err != nil || changed != 1 {
		t.Fatalf("%d paths changed: %v", changed, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// usdPlaces are the places of USD files, without the folder that stands for one outside the project.
func usdPlaces(s Shot) []string {
	places := map[string]bool{}
	for _, f := range s.Tree.Files {
		place := f.Path.String()
		if below, ok := strings.CutPrefix(place, sideFolder+"/"); ok {
			_, place, _ = strings.Cut(below, "/")
		}
		if strings.HasPrefix(filepath.Ext(place), ".usd") {
			places[place] = true
		}
	}
	return slices.Sorted(maps.Keys(places))
}

// TestLayersComeAlong has a cache whose layers lie beside it, below it, and in another folder of the project.
func TestLayersComeAlong(t *testing.T) {
	const above, below = "#usda 1.0\n(subLayers = [@./sub/low.usda@, @../other/far.usda@])", "#usda 1.0\n(subLayers = [@../beside.usda@])"
	top := t.TempDir()
	files := map[string]string{"usd/top.usda": above, "usd/sub/low.usda": below, "usd/beside.usda": "#usda 1.0", "other/far.usda": "#usda 1.0", "other/unused.usda": "#usda 1.0"}
	for name, content := range files {
		write(t, filepath.Join(top, "project", filepath.FromSlash(name)), content)
		write(t, filepath.Join(top, "outside", filepath.FromSlash(name)), content)
	}
	for folder, want := range map[string][]string{
		"project": {"other/far.usda", "usd/beside.usda", "usd/sub/low.usda", "usd/top.usda"},
		"outside": {"beside.usda", "sub/low.usda", "top.usda"},
	} {
		scene := filepath.Join(top, "project", folder+".blend")
		cacheScene(t, scene, filepath.ToSlash(filepath.Join(top, folder, "usd", "top.usda")))
		s := gatherOne(t, scene, Options{Spool: filepath.Join(top, "spool")})
		if diff := cmp.Diff(want, usdPlaces(s)); diff != "" {
			t.Errorf("%s (- wanted, + laid out):\n%s", folder, diff)
		}
		told := slices.ContainsFunc(s.Warnings, func(text string) bool { return strings.Contains(text, "far.usda") })
		if told != (folder == "outside") {
			t.Errorf("%s: warnings %q", folder, s.Warnings)
		}
	}
}
