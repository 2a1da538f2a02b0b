package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"camrelay/daemon/config"
)

// ofLists are the parameters of every list under /v1.
var ofLists = []string{"page", "items_per_page"}

// parameters are those that the query of a route may have, and whether others
// are refused: a typo must not widen what is listed, or let a wait be none. On
// MediaMTX's routes others are not heeded, as there.
func parameters(pattern string) (known []string, strict bool) {
	_, path, _ := strings.Cut(pattern, " ")
	switch path {
	case "/v1/events":
		known = []string{"since", "type", "path"}
	case "/v1/config/status":
		known = []string{"wait_hash", "timeout"}
	case "/v1/sessions":
		known = slices.Concat(sessionParameters, ofLists)
	case "/v1/sessions/ended":
		known = slices.Concat(endedParameters, ofLists)
	case "/v1/cameras", "/v1/pushes":
		if strings.HasPrefix(pattern, http.MethodGet) {
			known = ofLists
		}
	case "/v3/paths/keepalive/list":
		known = []string{"path", "page", "itemsPerPage"}
	case "/v3/paths/keepalive/add/{name...}":
		known = []string{"wait"}
	default:
		if strings.HasPrefix(path, "/v3/") && strings.HasSuffix(path, "/list") {
			known = []string{"page", "itemsPerPage"}
		}
	}
	for _, prefix := range []string{"/v1/", "/rest-api/", "/v3/paths/keepalive/"} {
		strict = strict || strings.HasPrefix(path, prefix)
	}
	return known, strict
}

// maxShown bounds what of a client's words is said back.
const maxShown = 40

// known refuses queries with parameters that the route does not have, or has
// once and is given twice.
func known(pattern string, next http.HandlerFunc) http.HandlerFunc {
	names, strict := parameters(pattern)
	if !strict {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		for key, values := range r.URL.Query() {
			if len(key) > maxShown {
				key = key[:maxShown]
			}
			switch {
			case !slices.Contains(names, key):
				text := fmt.Sprintf("unknown parameter %q", key)
				if hint := config.DidYouMean(key, names); hint != "" {
					text += ", " + hint
				} else {
					text += ", there are none here"
				}
				Refuse(w, r, http.StatusBadRequest, text)
				return
			case len(values) > 1:
				Refuse(w, r, http.StatusBadRequest, fmt.Sprintf("parameter %q is given twice", key))
				return
			}
		}
		next(w, r)
	}
}
