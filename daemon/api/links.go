package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/media/hub"
)

// LinkRequest asks for a link.
type LinkRequest struct {
	Cameras []string `json:"cameras,omitempty"` // left out: all that its maker may see
	For     string   `json:"for,omitempty"`     // how long it is good: "10m", at most "1h", which is the default
}

// LinkStatus is a link that was made. Its paths are those of the viewers' port.
type LinkStatus struct {
	Page    string            `json:"page"`
	HLS     map[string]string `json:"hls"`     // playlist of each camera that was asked for
	Cameras []string          `json:"cameras"` // none: all that its maker may see
	Expires time.Time         `json:"expires"`
	// Warnings name cameras that there are not now; on_not_found may bring them.
	Warnings []string `json:"warnings"`
}

// linkAdd makes a link by which others may watch without a password.
func (s server) linkAdd(w http.ResponseWriter, r *http.Request) {
	var asked LinkRequest
	if err := decodeBody(r, &asked); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	good, err := duration(asked.For)
	if asked.For == "" {
		good = auth.MaxLink
	}
	if err != nil || good < time.Second || good > auth.MaxLink {
		problem(w, http.StatusBadRequest, "for is to be 1s to "+auth.MaxLink.String())
		return
	}
	if asked.Cameras != nil && len(asked.Cameras) == 0 { // of a program that has filtered all away
		problem(w, http.StatusBadRequest, "cameras is empty: name some, or leave it out for all that you may see")
		return
	}
	until := time.Now().Add(good)
	link, err := s.Access.NewLink(auth.FromContext(r.Context()), asked.Cameras, until)
	switch {
	case errors.Is(err, auth.ErrNoLink):
		problem(w, http.StatusConflict, err.Error())
		return
	case errors.Is(err, hub.ErrForbidden):
		problem(w, http.StatusForbidden, "this needs the right to watch each of the cameras")
		return
	case err != nil:
		problem(w, http.StatusInternalServerError, "no link could be made")
		return
	}
	missing := s.missing(asked.Cameras)
	if _, asks := s.Hooks()[config.HookNotFound]; !asks && len(missing) > 0 {
		problem(w, http.StatusBadRequest, strings.Join(missing, "; "))
		return
	}
	made := LinkStatus{
		Page: "/" + link + "/", HLS: map[string]string{}, Cameras: append([]string{}, asked.Cameras...),
		Expires: until.Truncate(time.Second), Warnings: []string{},
	}
	for _, m := range missing {
		made.Warnings = append(made.Warnings, m+" now, but it may be there when somebody comes")
	}
	for _, camera := range asked.Cameras {
		made.HLS[camera] = "/" + link + "/" + camera + "/index.m3u8"
	}
	writeJSON(w, http.StatusCreated, made)
}

// missing says of each camera that there is none of that name.
func (s server) missing(cameras []string) (all []string) {
	for _, name := range cameras {
		if s.Relay.Path(name) == nil {
			all = append(all, fmt.Sprintf("there is no camera %q", name))
		}
	}
	return all
}
