package api

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// besideTheContract are the routes that serve files, not operations.
var besideTheContract = []string{
	"GET /", "GET /app", "GET /app/*", "GET /favicon.ico", "GET /favicon.svg", "GET /job-files/:prefix/:job/:file",
	"GET /flamenco-addon.zip", "GET /hayloft-addon.zip", "HEAD /hayloft-addon.zip", "GET /downloads/:name", "HEAD /downloads/:name", "GET /flamenco3-addon.zip", "GET /upnp/description.xml",
	"GET /api/v3/openapi3.json", "GET /api/v3/swagger-ui", "GET /api/v3/swagger-ui/*",
}

func TestRoutesAndContractAgree(t *testing.T) {
	server, err := New(Config{SharedStorage: t.TempDir(), JobFiles: t.TempDir(), Page: os.DirFS(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	var routed []string
	for _, route := range server.echo.Routes() {
		name := route.Method + " " + route.Path
		if !slices.Contains(besideTheContract, name) {
			routed = append(routed, name)
		}
	}
	doc, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	var promised []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			promised = append(promised, method+" "+strings.NewReplacer("{", ":", "}", "").Replace(path))
			if !strings.HasPrefix(path, "/api/v3/worker/") && op.Security != nil {
				t.Errorf("%s asks for sign-in outside of the worker's paths", path)
			}
		}
	}
	slices.Sort(routed)
	slices.Sort(promised)
	if diff := cmp.Diff(promised, routed); diff != "" {
		t.Errorf("openapi.yaml (-) and the router (+) differ:\n%s", diff)
	}
}

func TestGeneratedCodeIsFresh(t *testing.T) {
	for _, dir := range []string{"gen", "wire"} {
		config, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		name := map[string]string{"gen": "server.gen.go", "wire": "wire.gen.go"}[dir]
		fresh := filepath.Join(t.TempDir(), name)
		moved := filepath.Join(t.TempDir(), "config.yaml")
		text := strings.Replace(string(config), "output: "+name, "output: "+fresh, 1)
		if err := os.WriteFile(moved, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		generate := exec.Command("go", "tool", "-modfile=../../.ci/tools/go.mod", "oapi-codegen", "--config", moved, "../openapi.yaml")
		generate.Dir = dir
		if out, err := generate.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", generate, err, out)
		}
		want, err := os.ReadFile(fresh)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(got) {
			t.Errorf("%s/%s is stale; run `make generate`", dir, name)
		}
	}
}
