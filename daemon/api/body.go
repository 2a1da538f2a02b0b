package api

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// maxDepth is how deep objects and lists of a body may lie in one another.
const maxDepth = 32

// admitBody reads the body of a request that changes something, and puts what it
// has read in its place. If the body cannot be taken it returns how to answer.
func admitBody(r *http.Request) (code int, text string) {
	if r.Body == nil || r.Body == http.NoBody {
		return 0, ""
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case err != nil:
		return http.StatusBadRequest, "the body cannot be read"
	case len(raw) > MaxBody:
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", MaxBody)
	case len(raw) > 0 && !isJSON(r.Header.Get("Content-Type")):
		// A form of a foreign page can be of no such type.
		return http.StatusUnsupportedMediaType, "the body must be JSON, with Content-Type: application/json"
	case depth(raw) > maxDepth:
		return http.StatusBadRequest, fmt.Sprintf("the body is nested more than %d deep", maxDepth)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return 0, ""
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// depth returns how deep the objects and lists of a JSON text lie in one another.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
