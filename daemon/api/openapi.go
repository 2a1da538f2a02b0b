package api

import (
	_ "embed"
	"net/http"
)

// openAPIText describes the API. A test makes it of the table of routes and the
// types of what they take and answer, and holds real answers against it.
// Specification: OpenAPI 3.1.
//
//go:embed openapi.json
var openAPIText []byte

func (s server) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(openAPIText) // the only error left is that the client is gone
}
