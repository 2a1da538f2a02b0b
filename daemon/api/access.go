package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/auth"
)

// guard lets a request through to a route if it has the right that the route
// demands, with the principal in its context.
func (s server) guard(r route) http.HandlerFunc {
	if r.right == auth.None {
		return r.handler
	}
	var pages http.CrossOriginProtection
	return func(w http.ResponseWriter, req *http.Request) {
		who, err := s.enter(req)
		throttled, isThrottled := errors.AsType[auth.ThrottledError](err)
		switch {
		case isThrottled:
			seconds := int((throttled.After + time.Second - 1) / time.Second)
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
			Refuse(w, req, http.StatusTooManyRequests, throttled.Error())
		case err != nil:
			w.Header().Add("WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`)
			w.Header().Add("WWW-Authenticate", `Bearer realm="camrelay"`)
			Refuse(w, req, http.StatusUnauthorized, "authentication required")
		case (who.Anonymous() || changes(req)) && !isUnix(req) && !s.Access.OwnName(req.Host):
			// A web page whose name has been made to point here (DNS rebinding).
			Refuse(w, req, http.StatusMisdirectedRequest,
				"address the API by an address of the box, by a name like camrelay.local, or by one that access.hosts lists")
		case pages.Check(req) != nil || req.Header.Get("Sec-Fetch-Site") == "cross-site":
			Refuse(w, req, http.StatusForbidden, "a page of another origin may not ask for this")
		case !who.May(r.right):
			Refuse(w, req, http.StatusForbidden, "this needs the right to "+r.right.String())
		default:
			if changes(req) {
				if code, text := admitBody(req); text != "" {
					Refuse(w, req, code, text)
					return
				}
			}
			r.handler(w, req.WithContext(auth.NewContext(req.Context(), who)))
		}
	}
}

// credentials reads what the request presents. Tokens in URLs are not taken:
// they end up in logs.
func credentials(r *http.Request) auth.Credentials {
	c := auth.Credentials{Remote: r.RemoteAddr}
	c.User, c.Password, _ = r.BasicAuth()
	const bearer = "Bearer "
	if h := r.Header.Get("Authorization"); len(h) > len(bearer) && strings.EqualFold(h[:len(bearer)], bearer) {
		c.Token = h[len(bearer):]
	}
	return c
}

// isUnix tells whether the request came by the unix socket.
func isUnix(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && addr.Network() == "unix"
}

// isLocal tells whether the client is on this box, and no proxy for others.
func isLocal(r *http.Request) bool {
	if isUnix(r) {
		return true
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// changes tells whether a request is of a kind that may change something.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// unknown answers requests that no route takes.
func unknown(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = m
			if _, pattern := mux.Handler(other); pattern != "/" {
				allowed = append(allowed, m)
			}
		}
		if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
			Refuse(w, r, http.StatusNotFound, "no such route")
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		Refuse(w, r, http.StatusMethodNotAllowed, "the route has no such method")
	}
}

// Refuse answers with an error in the shape of the API that was asked: problem
// details (RFC 9457) on /v1, MediaMTX's elsewhere.
func Refuse(w http.ResponseWriter, r *http.Request, code int, text string) {
	if strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/v1" {
		problem(w, code, text)
		return
	}
	v3Error(w, code, text)
}

// problem answers with problem details (RFC 9457).
func problem(w http.ResponseWriter, code int, text string) {
	writeAs(w, "application/problem+json", code, map[string]any{
		"type": "about:blank", "title": http.StatusText(code), "status": code, "detail": text,
	})
}
