// Package wire holds the shapes that travel between a manager and its clients, and the bare HTTP client, both
// generated from api/openapi.yaml. Nothing here is edited by hand; `make generate` writes it.
//
// It must not import echo or anything of ours: workers and command-line tools link it without linking a server.
package wire

//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen --config config.yaml ../openapi.yaml
