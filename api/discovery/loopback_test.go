package discovery

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

// TestFoundOnTheLoopbackInterface sends real packets, on the loopback interface only. Other managers may be announced there
// by other programs at the same time; they are not the one that is looked for.
func TestFoundOnTheLoopbackInterface(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle(DescriptionPath, Description("farm"))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, t.Name()) })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	root, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}

	ctx, end := context.WithTimeout(t.Context(), 30*time.Second)
	defer end()
	advertised := make(chan error, 1)
	advertising, stop := context.WithCancel(ctx)
	go func() {
		advertised <- Advertise(advertising, Config{
			Address: netip.MustParseAddrPort(root.Host), Scheme: "http", Server: "Hayloft",
			Delay: func(time.Duration) time.Duration { return 0 },
		})
	}()
	found, err := Find(ctx, Search{Interfaces: loopbackNames(t), Usable: func(ctx context.Context, found *url.URL) error {
		body, err := read(ctx, found.String())
		if err == nil && body != t.Name() {
			err = fmt.Errorf("another server answered")
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if found.String() != server.URL+"/" {
		t.Errorf("found %s, want %s/", found, server.URL)
	}
	if body, err := read(ctx, found.JoinPath(DescriptionPath).String()); err != nil || len(body) == 0 {
		t.Errorf("the description is %q, error %v", body, err)
	}
	stop()
	if err := <-advertised; err != nil {
		t.Error(err)
	}
}

// loopbackNames lists the loopback interfaces, whose name differs between systems.
func loopbackNames(t *testing.T) []string {
	t.Helper()
	links, err := machine{}.links()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		if l.loopback {
			names = append(names, l.name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no loopback interface among %v", links)
	}
	return names
}

func read(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
