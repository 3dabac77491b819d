package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/api/wire"
)

func TestLogicalNameIsAlikeOnAllMachines(t *testing.T) {
	for file, want := range map[string]string{
		"/mnt/film/shots/010/light.blend":              "shots/010/light.blend",
		"/srv/film/shots/010/light.blend":              "shots/010/light.blend",
		"/film/shots/010/light.hayloft-0a1b2c3d.blend": "shots/010/light.blend",
		"/film/shots/010/light.hayloft-more.blend":     "shots/010/light.hayloft-more.blend",
		"/light.blend": "light.blend",
		"/shots/light.hayloft-0a1b2c3d.blend1/other.blend": "shots/light.hayloft-0a1b2c3d.blend1/other.blend",
	} {
		if got := logicalName(file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

func TestAddMetadata(t *testing.T) {
	got := wire.JobMetadata{"kept": "1"}
	if err := addMetadata(got, []string{"shot=010", "note=a=b", "empty="}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.JobMetadata{"kept": "1", "shot": "010", "note": "a=b", "empty": ""}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, wrong := range []string{"", "shot", "=010"} {
		if err := addMetadata(got, []string{wrong}); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
