// Package cli is what the command-line programs share: where settings come from, how results, messages and progress are
// written, and which exit code an error gets.
//
// Promises: results go to standard output, everything else to standard error. A setting is taken from the flag, else the
// environment, else the configuration file, else its default, and where it came from can be told. A message says what was
// attempted and why it failed, in one line.
//
// It may import api/client, for the meanings of errors; of ours it imports nothing else, and only programs below cmd
// import it.
package cli
