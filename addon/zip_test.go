package addon

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func pack(t *testing.T, version string) []byte {
	t.Helper()
	var all bytes.Buffer
	if err := Zip(&all, version); err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// unpack returns the texts in an archive by name.
func unpack(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	opened, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range opened.File {
		reader, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err := errors.Join(err, reader.Close()); err != nil {
			t.Fatal(err)
		}
		texts[file.Name] = string(text)
	}
	return texts
}

func TestZipIsTheSameEachTime(t *testing.T) {
	if !bytes.Equal(pack(t, "1.2.3"), pack(t, "1.2.3")) {
		t.Error("two archives of one version differ")
	}
	if bytes.Equal(pack(t, "1.2.3"), pack(t, "1.2.4")) {
		t.Error("the archives of two versions are equal")
	}
}

func TestZipHoldsTheWholeAddOn(t *testing.T) {
	var got []string
	for name := range unpack(t, pack(t, "")) {
		got = append(got, name)
	}
	slices.Sort(got)
	want := []string{"hayloft/LICENSE"}
	for _, pattern := range []string{"hayloft/*.py", "hayloft/*.toml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, found...)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the archive does not hold what the folder does (-folder +archive):\n%s", diff)
	}
	if !slices.Contains(got, "hayloft/__init__.py") || !slices.Contains(got, "hayloft/blender_manifest.toml") {
		t.Error("without __init__.py and blender_manifest.toml no Blender takes it")
	}
}

func TestZipTellsItsVersion(t *testing.T) {
	for version, want := range map[string][2]string{
		"":                  {"(0, 1, 0)", `"0.1.0"`},
		"133a19f":           {"(0, 1, 0)", `"0.1.0"`},
		"1.2.3":             {"(1, 2, 3)", `"1.2.3"`},
		"v2.10":             {"(2, 10, 0)", `"2.10.0"`},
		"v0.3.1-12-gabc123": {"(0, 3, 1)", `"0.3.1"`},
	} {
		texts := unpack(t, pack(t, version))
		if line := `"version": ` + want[0] + ","; !strings.Contains(texts["hayloft/__init__.py"], line) {
			t.Errorf("version %q: bl_info lacks %s", version, line)
		}
		if line := "\nversion = " + want[1] + "\n"; !strings.Contains(texts["hayloft/blender_manifest.toml"], line) {
			t.Errorf("version %q: the manifest lacks %s", version, line)
		}
	}
}

// TestManifestKeepsBlendersLimits holds the texts to what Blender's own `extension validate` demands: 64 characters at most,
// and no punctuation at their ends.
func TestManifestKeepsBlendersLimits(t *testing.T) {
	manifest := unpack(t, pack(t, "1.2.3"))["hayloft/blender_manifest.toml"]
	for _, key := range []string{"tagline", "network", "files"} {
		found := regexp.MustCompile(`(?m)^` + key + ` = "(.*)"$`).FindStringSubmatch(manifest)
		if found == nil {
			t.Errorf("the manifest lacks %s", key)
			continue
		}
		if text := found[1]; text == "" || len(text) > 64 || strings.ContainsAny(text[len(text)-1:], ".,:;!?") {
			t.Errorf("%s has %d characters, or ends in punctuation: %q", key, len(text), text)
		}
	}
}

// TestEveryPythonFileNamesItsLicence holds for the tests too, since they use Blender's Python API.
func TestEveryPythonFileNamesItsLicence(t *testing.T) {
	read := 0
	for _, pattern := range []string{"hayloft/*.py", "tests/*.py"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			read++
			if !strings.Contains(string(text[:min(len(text), 200)]), "# SPDX-License-Identifier: GPL-3.0-or-later\n") {
				t.Errorf("%s does not say that it is under GPL-3.0-or-later", name)
			}
		}
	}
	if read == 0 {
		t.Error("no Python file was read")
	}
}
