package daemon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/durable"
	"camrelay/media/hub"
)

// linkKeyFile holds, in the state directory, what the links of this box are signed with.
const linkKeyFile = "link.key"

// linkKey returns the key of the state directory, made if there is none. Without
// a directory that can be written links end with the process.
func linkKey(dir string, log *slog.Logger) (key [sha256.Size]byte) {
	raw, err := os.ReadFile(filepath.Join(dir, linkKeyFile))
	if err == nil && len(raw) == len(key) {
		return [sha256.Size]byte(raw)
	}
	rand.Read(key[:]) // it never fails
	if err := durable.Replace(dir, linkKeyFile, key[:]); err != nil {
		log.Warn("links will end with this process", "err", err)
	}
	return key
}

// linkCookie holds a link for the requests that a page makes.
const linkCookie = "camrelay_link"

// errLinkOver is why who came by a link is sent away.
var errLinkOver = errors.New("the link has expired")

// linked takes links, and hands next the request without them: a link is the
// first element of the path, so that the relative URIs of playlists stay below
// it and no query holds it, or a cookie. To next it is a token. Nobody is let in
// at a name that is not the box's where anybody may watch: it would be a page of
// another site, whose name has been made to point here.
func linked(access *auth.Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, rest, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		isLink := auth.IsLink(first)
		if !isLink {
			first = ""
			if c, err := r.Cookie(linkCookie); err == nil && auth.IsLink(c.Value) && r.Header.Get("Authorization") == "" {
				first = c.Value
			}
		}
		until, ok := access.LinkedUntil(first, time.Now())
		switch {
		case isLink && !ok:
			refuseLink(w)
		case isLink && (!below || rest == ""):
			keepLink(w, r, first, until)
		case ok:
			ctx, cancel := context.WithDeadlineCause(r.Context(), until, errLinkOver)
			defer cancel()
			r = r.Clone(ctx)
			r.Header.Set("Authorization", "Bearer "+first)
			if isLink {
				r.URL.Path, r.URL.RawPath = "/"+rest, ""
			}
			next.ServeHTTP(w, r)
		case access.Open() && !access.OwnName(r.Host):
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "address the box by its address, by a name like camrelay.local, or by one that access.hosts lists",
				http.StatusMisdirectedRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// refuseLink answers who comes by a link that is none, or is none any more.
func refuseLink(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*") // as all of what players load
	http.Error(w, errLinkOver.Error()+", or is not one of this box: "+hub.ErrDenied.Error(), http.StatusForbidden)
}

// keepLink gives a browser the cookie of a link to the page, and sends it there:
// not by a redirect, in which a browser that comes from another site would leave
// out the cookie.
func keepLink(w http.ResponseWriter, r *http.Request, link string, until time.Time) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: linkCookie, Value: link, Path: "/", HttpOnly: true, Secure: r.TLS != nil,
		SameSite: http.SameSiteStrictMode, MaxAge: max(1, int(time.Until(until).Seconds())),
	})
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Refresh", "0; url=/")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("To the page: /\n")) // the only error left is that the client is gone
}
