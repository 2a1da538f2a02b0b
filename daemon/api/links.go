package api

import (
	"errors"
	"net/http"
	"time"

	"camrelay/daemon/auth"
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
	made := LinkStatus{
		Page: "/" + link + "/", HLS: map[string]string{}, Cameras: append([]string{}, asked.Cameras...),
		Expires: until.Truncate(time.Second),
	}
	for _, camera := range asked.Cameras {
		made.HLS[camera] = "/" + link + "/" + camera + "/index.m3u8"
	}
	writeJSON(w, http.StatusCreated, made)
}
