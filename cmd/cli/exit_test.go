package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"hayloft/api/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers gives the error of a client whose manager answers so.
func answers(t *testing.T, status int, body string) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	return ask(t, server.URL)
}

func ask(t *testing.T, address string) error {
	t.Helper()
	c, err := client.New(address, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Version(t.Context())
	return err
}

// nobody gives the error of a client whose manager is not there.
func nobody(t *testing.T) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return ask(t, address)
}

// inUse gives the error of a second listener on one address.
func inUse(t *testing.T) error {
	t.Helper()
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := net.Listen("tcp", first.Addr().String())
	if err == nil {
		second.Close()
		t.Fatal("two listeners on one address")
	}
	return fmt.Errorf("listen: %w", err)
}

func TestReport(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		code int
		says []string
	}{
		{"something", errors.New("it broke"), ExitFailed, []string{"it broke"}},
		{"usage", fmt.Errorf("run: %w", Usage("--port %d", 7)), ExitUsage, []string{"run: --port 7"}},
		{"interrupted", fmt.Errorf("send: %w", context.Canceled), ExitInterrupted, []string{"interrupted"}},
		{"a code and words", ExitError{ExitJob, errors.New("the job failed")}, ExitJob, []string{"the job failed"}},
		{"unreachable", nobody(t), ExitUnreachable, []string{"connection refused", "is the manager running"}},
		{"unknown host", ask(t, "http://no-such-host.invalid"), ExitUnreachable, []string{"is the manager running"}},
		{"no such job", answers(t, http.StatusNotFound, `{"code":404,"message":"no such job","reason":"not-found"}`), ExitNotFound, []string{"no such job"}},
		{"refused", answers(t, http.StatusBadRequest, `{"code":400,"message":"no","reason":"invalid"}`), ExitFailed, []string{"no"}},
		{"not a manager", answers(t, http.StatusOK, "hello"), ExitFailed, []string{"not what a Hayloft manager sends"}},
		{"port in use", inUse(t), ExitFailed, []string{"another program listens there: stop it or choose another --listen address"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := Report(&out, "farm", test.err); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			said := out.String()
			if !strings.HasPrefix(said, "farm: ") || strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, "\n") || strings.HasSuffix(said, ".\n") {
				t.Errorf("not one line: %q", said)
			}
			for _, words := range test.says {
				if !strings.Contains(said, words) {
					t.Errorf("%q does not say %q", said, words)
				}
			}
		})
	}
}

func TestReportSaysNothingTwice(t *testing.T) {
	var out bytes.Buffer
	if code := Report(&out, "farm", ExitError{Code: ExitRestart}); code != ExitRestart || out.Len() > 0 {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}

// TestExitHelp holds that --help tells of every code.
func TestExitHelp(t *testing.T) {
	for _, code := range []int{ExitOK, ExitFailed, ExitUsage, ExitJob, ExitUnreachable, ExitNotFound, ExitRestart, ExitInterrupted} {
		if !strings.Contains(ExitHelp, fmt.Sprintf("\n  %d ", code)) {
			t.Errorf("code %d is not in the help", code)
		}
	}
}

func TestArguments(t *testing.T) {
	cmd := &cobra.Command{Use: "farm"}
	check := Arguments(cobra.ExactArgs(1))
	if err := check(cmd, []string{"a"}); err != nil {
		t.Errorf("one argument: %v", err)
	}
	if err := check(cmd, nil); ExitCode(err) != ExitUsage || !strings.HasSuffix(err.Error(), "; see `farm --help`") {
		t.Errorf("no argument: %v", err)
	}
}
