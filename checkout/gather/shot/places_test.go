package shot

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hayloft/checkout/blend"
)

var drawName = rapid.StringMatching(`[a-zé][a-z0-9_.é\[\] -]{0,6}[a-z0-9]`)

func drawPlace(t *rapid.T, least int, label string) string {
	return strings.Join(rapid.SliceOfN(drawName, least, 4).Draw(t, label), "/")
}

func TestTextLeadsToItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, place := drawPlace(t, 0, "base"), drawPlace(t, 1, "place")
		written := text(base, place)
		if got, ok := target(base, written); !ok || got != place {
			t.Errorf("from %q, %q leads to %q (%v), want %q", base, written, got, ok, place)
		}
		if got, ok := target(base, strings.ReplaceAll(written, "/", `\`)); ok {
			t.Errorf("%q begins as a share of Windows does, and leads to %q", written, got)
		}
	})
}

func TestTargetsStayInTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := drawPlace(t, 0, "base")
		written := "//" + strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"..", ".", "a", "", `..\..`, `b\c`})).Draw(t, "written"), "/")
		if got, ok := target(base, written); ok && (path.IsAbs(got) || !filepath.IsLocal(path.Join(got, "x"))) {
			t.Errorf("from %q, %q leads to %q", base, written, got)
		}
	})
}

// laidOut gives the places of dependencies on one file each, by source, and the new texts by datablock.
func laidOut(t *rapid.T, scene string, sources []string) (places, texts map[string]string) {
	g, err := newGathering(t.Context(), scene, Options{Spool: filepath.Dir(scene)})
	if err != nil {
		t.Fatal(err)
	}
	g.nameScene(scene)
	for _, source := range sources {
		d := blend.Dependency{Blend: scene, Datablock: "IM" + source, Kind: "image", Field: "Image.name", Written: source, Resolved: source, Files: []string{source}}
		l, err := g.locate(d)
		if err != nil {
			t.Fatal(err)
		}
		g.found = append(g.found, l)
	}
	g.chooseSide()
	if err := g.layOut(); err != nil {
		t.Fatal(err)
	}
	if len(g.faults) > 0 {
		t.Fatal(g.faults)
	}
	places, texts = map[string]string{}, map[string]string{}
	for place, f := range g.files {
		if f.Source != scene {
			places[f.Source] = place
		}
	}
	for f, text := range g.edits[scene] {
		texts[f.Written] = text
	}
	if len(places) != len(g.files)-1 {
		t.Errorf("%d places for %d files", len(g.files)-1, len(places))
	}
	return places, texts
}

// TestPlacesAreStableAndNeverClash draws files inside and outside a project, and gathers them, and then some of them in
// another order.
func TestPlacesAreStableAndNeverClash(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		here := filepath.Join(top, fmt.Sprint(round))
		scene := filepath.Join(here, "p", "shots", "scene.blend")
		folders := []string{"p", "p/shots", "p/tex", "a", "a/tex", "b/tex", "b/tex/deep", "p2"}
		wanted := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
			return filepath.Join(here, rapid.SampledFrom(folders).Draw(t, "folder"), rapid.SampledFrom([]string{"x.png", "y.001.png", "y.002.png"}).Draw(t, "name"))
		}), 1, 12, rapid.ID).Draw(t, "sources")
		for _, file := range append(slices.Clone(wanted), scene) {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		all, texts := laidOut(t, scene, wanted)
		checkPlaces(t, filepath.Join(here, "p", "shots"), all, texts)
		some := rapid.Permutation(wanted).Draw(t, "order")
		some = some[:rapid.IntRange(1, len(some)).Draw(t, "some")]
		again, _ := laidOut(t, scene, some)
		for source, place := range again {
			if all[source] != place {
				t.Errorf("%s went from %q to %q", source, all[source], place)
			}
		}
		if len(again) != len(some) {
			t.Errorf("%d of %d files have a place", len(again), len(some))
		}
	})
}

// checkPlaces: neighbours stay neighbours under their names, and each text leads to its file. The project is the folder
// of the scene.
func checkPlaces(t *rapid.T, root string, places, texts map[string]string) {
	folders := map[string]string{}
	for _, source := range slices.Sorted(maps.Keys(places)) {
		place := places[source]
		if path.Base(place) != filepath.Base(source) {
			t.Errorf("%s is named %q", source, place)
		}
		if known, ok := folders[filepath.Dir(source)]; ok && known != path.Dir(place) {
			t.Errorf("files of %s lie in %q and %q", filepath.Dir(source), known, path.Dir(place))
		}
		folders[filepath.Dir(source)] = path.Dir(place)
		if got, ok := target("", texts[source]); !ok || got != place {
			t.Errorf("%q leads to %q (%v), want %q", texts[source], got, ok, place)
		}
		if _, inside := relativeTo(root, source); inside == strings.HasPrefix(place, sideFolder+"/") {
			t.Errorf("%s has the place %q", source, place)
		}
	}
	if distinct := slices.Compact(slices.Sorted(maps.Values(folders))); len(distinct) != len(folders) {
		t.Errorf("folders share places: %q", folders)
	}
}

// TestTilesInFolders lays out an image whose tiles lie in a folder each, outside the project.
func TestTilesInFolders(t *testing.T) {
	top := t.TempDir()
	scene, outside := filepath.Join(top, "p", "scene.blend"), filepath.Join(top, "out")
	written := filepath.Join(outside, "<UDIM>", "wood.png")
	files := []string{filepath.Join(outside, "1001", "wood.png"), filepath.Join(outside, "1002", "wood.png")}
	for _, path := range append([]string{scene}, files...) {
		write(t, path, path)
	}
	g, err := newGathering(t.Context(), scene, Options{Spool: top})
	if err != nil {
		t.Fatal(err)
	}
	g.nameScene(scene)
	gone := filepath.Join(outside, "1003", "wood.png")
	d := blend.Dependency{Blend: scene, Datablock: "IMwood", Kind: "image", Field: "Image.name", Written: written, Resolved: written, Files: files, Missing: []string{gone}, Required: true}
	l, err := g.locate(d)
	if err != nil {
		t.Fatal(err)
	}
	g.found = append(g.found, l)
	if err := g.layOut(); err != nil {
		t.Fatal(err)
	}
	place := g.places.outside(g.disk.real(outside))
	for _, tile := range []string{"1001", "1002"} {
		if _, ok := g.files[place+"/"+tile+"/wood.png"]; !ok {
			t.Errorf("tile %s is not there: %q", tile, slices.Sorted(maps.Keys(g.files)))
		}
	}
	for _, text := range g.edits[scene] {
		if want := "//" + place + "/<UDIM>/wood.png"; text != want {
			t.Errorf("the path becomes %q, want %q", text, want)
		}
	}
	if len(g.edits[scene]) != 1 || len(g.shot.Warnings) > 0 || len(g.shot.Missing) != 1 || g.shot.Missing[0].Resolved != gone {
		t.Errorf("edits %v, warnings %q, missing %v", g.edits, g.shot.Warnings, g.shot.Missing)
	}
}
