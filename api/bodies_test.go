package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"hayloft/api/octets"
	"hayloft/cas"
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

// streamOperations are the operations whose bodies are neither JSON nor one whole file.
var streamOperations = map[string]struct{ method, path, mediaType string }{
	"askLacking":     {"POST", "/api/v3/cas/lacking", anyBytes},
	"storeFiles":     {"POST", "/api/v3/cas/files", octets.FramesType},
	"readFiles":      {"POST", "/api/v3/cas/files/read", anyBytes},
	"beginUpload":    {"POST", "/api/v3/cas/uploads", anyBytes},
	"appendToUpload": {"PATCH", "/api/v3/cas/uploads/{upload}/lanes/{lane}", octets.FramesType},
	"readChunks":     {"POST", "/api/v3/cas/blobs/{digest}/chunks", anyBytes},
}

// FuzzStreams sends bytes to every operation of the transfer protocol that takes some. Whatever is sent, the answer is one
// of the contract, and none says that the manager failed. That it is busy it may say: announcements leave sessions open.
func FuzzStreams(f *testing.F) {
	farm := newFarm(f)
	stored, coming := randomBytes(40, 1<<20+1), randomBytes(41, 2<<20)
	send(f, farm.client(), encoded(f, cut(f, stored)), stored)
	session := try(farm.client().Begin(f.Context(), encoded(f, cut(f, coming))))(f)
	digest := cas.SumBytes(stored)
	f.Add("askLacking", octets.AppendQuestions(nil, []cas.Blob{blobOf(stored), blobOf(nil)}))
	f.Add("storeFiles", fileFrames([]byte("one"), []byte("two")))
	f.Add("readFiles", octets.AppendDigests(nil, []cas.Digest{digest}))
	f.Add("beginUpload", encoded(f, cut(f, []byte("a small file"))))
	f.Add("beginUpload", cut(f, coming).AppendDelta(nil, cut(f, stored)))
	f.Add("appendToUpload", chunkFrames(cut(f, coming), coming, append([]bool{true}, make([]bool, len(session.Lacking)-1)...)))
	f.Add("readChunks", octets.Bitmap(append([]bool{true}, make([]bool, cut(f, stored).Len()-1)...)))
	client := &http.Client{Transport: &http.Transport{}}
	f.Cleanup(client.CloseIdleConnections)
	lane := 0
	f.Fuzz(func(t *testing.T, operation string, body []byte) {
		op, ok := streamOperations[operation]
		if !ok {
			return
		}
		lane++
		path := strings.NewReplacer("{upload}", session.ID, "{lane}", fmt.Sprint(lane%8), "{digest}", digest.String()).Replace(op.path)
		r := try(http.NewRequestWithContext(t.Context(), op.method, farm.url+path, bytes.NewReader(body)))(t)
		r.Header.Set("Content-Type", op.mediaType)
		r.Header.Set("Upload-Offset", "0")
		resp := try(client.Do(r))(t)
		defer resp.Body.Close()
		answer := try(io.ReadAll(resp.Body))(t)
		if resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s %x: %d %s", operation, body, resp.StatusCode, answer)
		}
		if err := againstContract(contractRouter(t), r, resp, answer); err != nil {
			t.Errorf("%s %x: %d against the contract: %v", operation, body, resp.StatusCode, err)
		}
	})
}
