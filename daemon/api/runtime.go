package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"camrelay/daemon/relay"
	"camrelay/media"
)

// Sources makes and ends paths at run time.
type Sources interface {
	// Add returns an error that quotes nothing of the source.
	Add(ctx context.Context, name string, source relay.Source) error
	// Remove tells whether there was a path that was added at run time.
	Remove(name string) bool
}

// MaxBody bounds what a client may send.
const MaxBody = 64 << 10

// decodeBody reads a JSON object without unknown fields into v. An empty body
// leaves v as it is. The error is for the client.
func decodeBody(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var big *http.MaxBytesError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &big):
		return fmt.Errorf("the body is larger than %d bytes", MaxBody)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("field %q must be of type %s", kind.Field, kind.Type)
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field"):
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	case err != nil:
		return errors.New("the body is no JSON object")
	case d.More():
		return errors.New("the body holds more than one JSON object")
	}
	return nil
}

// v3PathConf is what is taken of MediaMTX's configuration of a path.
type v3PathConf struct {
	Source         media.Secret `json:"source"`
	SourceOnDemand *bool        `json:"sourceOnDemand"`
}

// sourceAdd adds a path for as long as it is wanted.
func (s server) sourceAdd(w http.ResponseWriter, r *http.Request) {
	var conf v3PathConf
	if err := decodeBody(r, &conf); err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	if conf.SourceOnDemand != nil && !*conf.SourceOnDemand {
		v3Error(w, http.StatusBadRequest, "sourceOnDemand must be true: a path that is added lives as long as it is "+
			"wanted; add a keepalive to keep it, or name the camera in a file")
		return
	}
	if err := s.Sources.Add(r.Context(), r.PathValue("name"), relay.Source{URL: conf.Source}); err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// sourceRemove ends a path that was added.
func (s server) sourceRemove(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); s.Sources.Remove(name) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	} else if s.Relay.Path(name) != nil {
		v3Error(w, http.StatusConflict, "the path is not one that was added at run time; edit the file that names it")
	} else {
		v3Error(w, http.StatusNotFound, "path not found")
	}
}
