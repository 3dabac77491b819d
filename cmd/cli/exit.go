package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	"hayloft/api/client"
)

// Exit codes of every command.
const (
	ExitOK          = 0
	ExitFailed      = 1   // it did not work; the message says why
	ExitUsage       = 2   // the command line or the configuration is wrong
	ExitJob         = 3   // the job that was waited for failed or was canceled
	ExitUnreachable = 4   // the manager cannot be reached
	ExitNotFound    = 5   // there is no such job, task or worker
	ExitRestart     = 75  // the worker was asked to restart: start it again
	ExitInterrupted = 130 // ended by Ctrl-C
)

// ExitHelp says what the exit codes mean, for --help.
const ExitHelp = `Exit codes:
  0  done
  1  it did not work; the message says why
  2  the command line or the configuration is wrong
  3  the job that was waited for failed or was canceled
  4  the manager cannot be reached
  5  there is no such job, task or worker
  75 the worker was asked to restart: start it again
  130 interrupted`

// ExitError carries an exit code; its message may be empty when everything was said already.
type ExitError struct {
	Code int
	Err  error
}

func (e ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e ExitError) Unwrap() error { return e.Err }

// Usage marks an error as one of the command line.
func Usage(format string, args ...any) error {
	return ExitError{ExitUsage, fmt.Errorf(format, args...)}
}

// ExitCode chooses the code for an error.
func ExitCode(err error) int {
	var exit ExitError
	switch {
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.Is(err, client.ErrNotFound):
		return ExitNotFound
	case errors.Is(err, client.ErrUnreachable):
		return ExitUnreachable
	}
	return ExitFailed
}

// Arguments turns what is wrong with a command's arguments into an error of the command line.
func Arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return Usage("%w; see `%s --help`", err, cmd.CommandPath())
		}
		return nil
	}
}

// Report says what went wrong, in one line that begins with the program's name, and returns the exit code.
func Report(w io.Writer, program string, err error) int {
	code := ExitCode(err)
	switch {
	case code == ExitInterrupted:
		fmt.Fprintln(w, program+": interrupted")
	case err.Error() != "":
		fmt.Fprintf(w, "%s: %s\n", program, hint(err))
	}
	return code
}

// hint adds what to do next to errors of the system that do not say it themselves.
func hint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return err.Error() + "; another program listens there: stop it or choose another --listen address"
	case errors.Is(err, client.ErrUnreachable):
		return err.Error() + "; is the manager running, and is --manager its address?"
	}
	return err.Error()
}
