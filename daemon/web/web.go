// Package web serves the page of the viewers' port: a list of the cameras and
// a player. Pages and scripts are embedded, so it works without internet. It
// holds no state; handlers may run concurrently.
package web

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"

	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// assets holds the page. hls.light.min.js is put beside it by make build; the
// page says so where it is missing and uses the browser's own HLS player.
//
//go:embed assets
var assets embed.FS

// Camera is one line of the list.
type Camera struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	State string `json:"state"`
	Video string `json:"video"` // codec and size for people, empty if unknown
}

// Handler returns the page's handler for /, its assets below /-/ and the
// camera list at /-/cameras.json. list answers what the request may see.
func Handler(list func(hub.Request) ([]Camera, error)) http.Handler {
	root, err := fs.Sub(assets, "assets")
	if err != nil {
		panic("web: internal error: " + err.Error())
	}
	files := http.StripPrefix("/-/", http.FileServerFS(root))
	mux := http.NewServeMux()
	guard := func(serve func(http.ResponseWriter, *http.Request, []Camera)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			cameras, err := list(httpdoor.Ask(r, "", "http"))
			if err != nil {
				refuse(w, err)
				return
			}
			serve(w, r, cameras)
		}
	}
	mux.HandleFunc("GET /{$}", guard(func(w http.ResponseWriter, r *http.Request, _ []Camera) {
		http.ServeFileFS(w, r, root, "page.html")
	}))
	mux.HandleFunc("GET /-/cameras.json", guard(func(w http.ResponseWriter, _ *http.Request, cameras []Camera) {
		w.Header().Set("Content-Type", "application/json")
		// The only error left is that the client is gone.
		_ = json.NewEncoder(w).Encode(cameras)
	}))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		http.ServeFileFS(w, r, root, "icon.svg")
	})
	mux.HandleFunc("GET /-/", func(w http.ResponseWriter, r *http.Request) { files.ServeHTTP(w, r) })
	return headers(mux)
}

// headers allows the page what it needs and nothing else: its own scripts, and
// the blobs that hls.js makes.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; "+
			"frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, hub.ErrDenied):
		w.Header().Set("WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`)
		http.Error(w, "Log in as one of the users in the configuration. There, "+
			"\"access: {view: open}\" lets in anybody.", http.StatusUnauthorized)
	case httpdoor.AnswerTo(err).Status == http.StatusTooManyRequests:
		httpdoor.AnswerTo(err).Write(w)
	case errors.Is(err, hub.ErrUnavailable):
		w.Header().Set("Retry-After", "2")
		http.Error(w, "not now, try again later", http.StatusServiceUnavailable)
	default:
		http.Error(w, "not allowed", http.StatusForbidden)
	}
}
