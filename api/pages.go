package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
)

// pages is the answer to a list without a limit: one JSON object whose only member is the list. It is read and sent page
// by page, so that a million tasks cost no more memory than a page.
type pages[T any] struct {
	member string
	first  []T
	next   func() ([]T, error) // an empty page is the end
}

// newPages reads the first page, so that an error in it still gets its own status.
func newPages[T any](member string, next func() ([]T, error)) (*pages[T], error) {
	first, err := next()
	if err != nil {
		return nil, err
	}
	return &pages[T]{member: member, first: first, next: next}, nil
}

// write sends all pages. An error in a later page can no longer be told by a status, so the connection is cut: the client
// sees a broken body instead of a short list.
func (p *pages[T]) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(out, "{%q:[", p.member)
	enc := json.NewEncoder(out)
	count := 0
	for page := p.first; len(page) > 0; {
		for i := range page {
			if count++; count > 1 {
				_ = out.WriteByte(',') // bufio keeps the first error for Flush
			}
			if err := enc.Encode(&page[i]); err != nil {
				return fmt.Errorf("send the list of %s: %w", p.member, err)
			}
		}
		var err error
		if page, err = p.next(); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	_, _ = out.WriteString("]}\n")
	return out.Flush()
}
