package api_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// bodyOperation is an operation that takes a JSON body.
type bodyOperation struct {
	method, path string
	worker       bool // asks for sign-in
}

func bodyOperations(t testing.TB) map[string]bodyOperation {
	all := map[string]bodyOperation{}
	doc := try(openapi3.NewLoader().LoadFromFile("openapi.yaml"))(t)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody != nil && op.RequestBody.Value.Content.Get("application/json") != nil {
				all[op.OperationID] = bodyOperation{method, path, op.Security != nil}
			}
		}
	}
	return all
}

// FuzzBodies sends JSON bodies to every operation that takes one, of a farm with a job, a worker and a tag. Whatever is
// sent, the answer is one of the contract, and none says that the manager failed.
func FuzzBodies(f *testing.F) {
	operations := bodyOperations(f)
	farm := newFarm(f, withTwoWay, withConfigFile)
	job := farm.submit()
	w := farm.worker(0)
	task := try(w.Claim(f.Context()))(f)
	tag := try(farm.client().CreateTag(f.Context(), tagNamed("gpu")))(f)
	fill := strings.NewReplacer("{job_id}", job.Id.String(), "{task_id}", task.Uuid.String(), "{worker_id}", w.id.String(),
		"{tag_id}", tag.Id.String(), "{ref}", "main")
	client := &http.Client{Transport: &http.Transport{}}
	f.Cleanup(client.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, operation string, body []byte) {
		op, ok := operations[operation]
		if !ok {
			return
		}
		r := try(http.NewRequestWithContext(t.Context(), op.method, farm.url+fill.Replace(op.path), bytes.NewReader(body)))(t)
		r.Header.Set("Content-Type", "application/json")
		if op.worker {
			r.SetBasicAuth(w.id.String(), workerSecret)
		}
		resp := try(client.Do(r))(t)
		defer resp.Body.Close()
		answer := try(io.ReadAll(resp.Body))(t)
		if resp.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%s %q: %d %s", operation, body, resp.StatusCode, answer)
		}
		if err := againstContract(contractRouter(t), r, resp, answer); err != nil {
			t.Errorf("%s %q: %d against the contract: %v", operation, body, resp.StatusCode, err)
		}
	})
}

// TestEveryBodyHasSeeds wants a body to begin with for each operation.
func TestEveryBodyHasSeeds(t *testing.T) {
	seeds := try(filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzBodies", "*")))(t)
	for operation := range bodyOperations(t) {
		mentions := func(file string) bool {
			return bytes.Contains(try(os.ReadFile(file))(t), []byte(`string("`+operation+`")`))
		}
		if !slices.ContainsFunc(seeds, mentions) {
			t.Errorf("no file in testdata/fuzz/FuzzBodies begins with string(%q)", operation)
		}
	}
}
