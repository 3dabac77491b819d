// Package gen holds the server side that is generated from api/openapi.yaml: the routes and the strict handler
// interface. Nothing here is edited by hand; `make generate` writes it and a test fails when it is stale.
//
// It imports echo and api/wire, and only package api may import it.
package gen

//go:generate go tool -modfile=../../.ci/tools/go.mod oapi-codegen --config config.yaml ../openapi.yaml
