package flamencotest

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// shelf is a Shaman store that only counts: what was sent, and what somebody else is sending.
type shelf struct {
	mux   *http.ServeMux
	mu    sync.Mutex
	there map[string]bool
	busy  string            // what another client is sending
	names map[string]string // by SHA-256
}

func newShelf(busy projectFile) *shelf {
	s := &shelf{mux: http.NewServeMux(), there: map[string]bool{}, busy: busy.Sha, names: map[string]string{}}
	s.mux.HandleFunc("POST /api/v3/shaman/checkout/requirements", s.requirements)
	s.mux.HandleFunc("GET /api/v3/shaman/files/{sha}/{size}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": s.status(r.PathValue("sha"))})
	})
	s.mux.HandleFunc("POST /api/v3/shaman/files/{sha}/{size}", s.receive)
	return s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *shelf) put(sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.there[sha] = true
}

func (s *shelf) status(sha string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.there[sha]:
		return "stored"
	case sha == s.busy:
		return "uploading"
	}
	return "unknown"
}

func (s *shelf) requirements(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Files []projectFile }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
		return
	}
	lacking := []map[string]any{}
	for _, file := range asked.Files {
		if status := s.status(file.Sha); status != "stored" {
			lacking = append(lacking, map[string]any{"sha": file.Sha, "size": file.Size, "path": file.Path, "status": status})
		}
	}
	reply(w, http.StatusOK, map[string]any{"files": lacking})
}

func (s *shelf) receive(w http.ResponseWriter, r *http.Request) {
	sha := r.PathValue("sha")
	_, _ = io.Copy(io.Discard, r.Body)
	if s.status(sha) == "uploading" && r.Header.Get("X-Shaman-Can-Defer-Upload") == "True" {
		w.WriteHeader(http.StatusTooEarly)
		return
	}
	s.put(sha)
	s.mu.Lock()
	s.names[sha] = r.Header.Get("X-Shaman-Original-Filename")
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}
