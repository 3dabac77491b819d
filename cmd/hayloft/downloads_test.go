package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fsnotify/fsnotify"
)

// fetched reads one address of a farm.
func fetched(t *testing.T, url string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v, %s", url, answer.StatusCode, err, body)
	}
	return body
}

// TestManagerHandsOutPrograms fetches the list, a program of the folder, the manager's own program, the checksums and the
// add-on, and compares each with what the list says of it.
func TestManagerHandsOutPrograms(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, content := range map[string]string{"hayloft-darwin-arm64": "for a mac", "hayloft-windows-amd64.exe": "for windows", "notes.txt": "private"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := startFarm(t, "--workers", "0", "--downloads", folder)
	var list struct {
		Files []struct{ Name, OS, Arch, Sha256, URL string }
		Addon struct{ Sha256, URL string }
	}
	if err := json.Unmarshal(fetched(t, f.url+"/api/v3/downloads"), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Files) != 3 {
		t.Errorf("the list has %+v; want two programs of the folder and the manager's own", list.Files)
	}
	sums := string(fetched(t, f.url+"/downloads/SHA256SUMS"))
	for _, file := range list.Files {
		sum := sha256.Sum256(fetched(t, f.url+file.URL))
		if text := hex.EncodeToString(sum[:]); text != file.Sha256 || !strings.Contains(sums, text+"  "+file.Name+"\n") {
			t.Errorf("%s has %s, the list says %s, the checksums are\n%s", file.Name, text, file.Sha256, sums)
		}
	}
	packed := fetched(t, f.url+list.Addon.URL)
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != list.Addon.Sha256 {
		t.Errorf("the add-on has %x, the list says %s", sum, list.Addon.Sha256)
	}
	if _, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed))); err != nil {
		t.Errorf("the add-on is no zip: %v", err)
	}
	for _, name := range []string{"notes.txt", "hayloft-linux-arm64", ".."} {
		answer, err := http.Get(f.url + "/downloads/" + name)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK && !strings.HasSuffix(answer.Request.URL.Path, "/app/") {
			t.Errorf("%s was handed out", name)
		}
	}
}

// TestManagerWatchesAFolder drops something that is no archive: the manager says so beside it.
func TestManagerWatchesAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	if err := watcher.Add(folder); err != nil {
		t.Fatal(err)
	}
	startFarm(t, "--workers", "0", "--watch", folder, "--watch-quiet", "10ms")
	if err := os.WriteFile(filepath.Join(folder, "shot.zip"), []byte("no zip at all"), 0o644); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case event := <-watcher.Events:
			if filepath.Base(event.Name) != "shot.zip.error.txt" {
				continue
			}
			if text, err := os.ReadFile(event.Name); err == nil && len(text) > 0 {
				return
			}
		case err := <-watcher.Errors:
			t.Fatal(err)
		case <-t.Context().Done():
			t.Fatal("nothing was said of a bad archive")
		}
	}
}
