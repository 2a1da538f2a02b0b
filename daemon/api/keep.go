package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"camrelay/daemon/config"
)

// CameraKeeper adds cameras for good, to a file of the machine's own.
type CameraKeeper interface {
	// Keep adds a camera to the file that it names, which is read again. text is a
	// JSON object with the keys of a camera in a file. The error is of type
	// config.Errors if that is what is wrong, or it wraps ErrCameraExists.
	Keep(name string, text []byte) (file string, err error)
	// Remove takes a camera out of that file. The error is ErrNoCamera or of type
	// *OwnedError.
	Remove(name, by string) error
}

// Errors of CameraKeeper.
var (
	ErrNoCamera     = errors.New("no such camera")
	ErrCameraExists = errors.New("there is a camera or path of this name")
)

// keptAnswer is the answer to what is kept: it runs once the file is read.
type keptAnswer struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// namedBody reads an object with a name besides the keys of a file.
func namedBody(r *http.Request) (name string, body map[string]json.RawMessage, err error) {
	err = decodeBody(r, &body)
	if err == nil && json.Unmarshal(body["name"], &name) != nil {
		err = errors.New("name is missing, or no string")
	}
	return name, body, err
}

// cameraKeep adds a camera for good.
func (s server) cameraKeep(w http.ResponseWriter, r *http.Request) {
	name, body, err := namedBody(r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if s.CameraKeeper == nil {
		problem(w, http.StatusNotFound, "there are no files")
		return
	}
	delete(body, "name")
	text, err := json.Marshal(body)
	if err != nil {
		panic("api: internal error: " + err.Error()) // it has just been decoded
	}
	file, err := s.CameraKeeper.Keep(name, text)
	var wrong config.Errors
	switch {
	case errors.As(err, &wrong):
		problem(w, http.StatusBadRequest, wordsOf(wrong))
	case errors.Is(err, ErrCameraExists):
		problem(w, http.StatusConflict, err.Error())
	case err != nil:
		problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		w.Header().Set("Location", "/v1/cameras/"+name)
		writeJSON(w, http.StatusAccepted, keptAnswer{name, file})
	}
}

// cameraRemove takes away a camera that was kept.
func (s server) cameraRemove(w http.ResponseWriter, r *http.Request) {
	err := ErrNoCamera
	if s.CameraKeeper != nil {
		err = s.CameraKeeper.Remove(r.PathValue("name"), actor(r))
	}
	_, owned := errors.AsType[*OwnedError](err)
	switch {
	case owned:
		problem(w, http.StatusConflict, err.Error())
	case errors.Is(err, ErrNoCamera):
		problem(w, http.StatusNotFound, err.Error())
	case err != nil:
		problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
