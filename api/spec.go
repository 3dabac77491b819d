package api

import (
	"context"
	_ "embed" // the contract is part of the binary
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed openapi.yaml
var contract []byte

// loadContract parses the embedded openapi.yaml and checks that it is a valid OpenAPI 3.0 document.
func loadContract() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		return nil, fmt.Errorf("read the embedded openapi.yaml: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("check the embedded openapi.yaml: %w", err)
	}
	return doc, nil
}
