package api

import (
	"errors"
	"net/http"
	"time"

	"camrelay/daemon/auth"
)

// PushControl starts and stops pushes. by is who does it.
type PushControl interface {
	// Start ends a stop, and makes a push that has failed try again. The error
	// is ErrNoPush or ErrRuns.
	Start(name, by string) error
	// Stop ends the running session, and the push rests for holdOff, or until
	// Start if that is negative; 0: it connects again soon. The error is ErrNoPush.
	Stop(name, by string, holdOff time.Duration) error
	// Retry makes a push try at once that has failed or waits for its next
	// attempt. The error is ErrNoPush or ErrStopped.
	Retry(name string) error
}

// Errors of PushControl.
var (
	ErrNoPush  = errors.New("no such push")
	ErrRuns    = errors.New("the push runs already")
	ErrStopped = errors.New("the push is stopped, start it")
)

func (s server) pushStatus(p Push) PushStatus {
	return PushStatus{
		Name: p.Name, Camera: p.Camera, URL: p.URL, RunStatus: runStatus(p.State), Stopped: stopStatus(p.Stop),
		Bytes: p.Bytes, Units: p.Units, Lost: p.Lost, LastSent: timeOrNil(p.LastSent),
	}
}

// pushStatuses are the pushes that the principal may see, by name.
func (s server) pushStatuses(who auth.Principal) []PushStatus {
	all := []PushStatus{}
	for _, p := range s.Pushes() {
		if who.MayView(p.Camera) {
			all = append(all, s.pushStatus(p))
		}
	}
	return all
}

// pushesList lists the pushes by name.
func (s server) pushesList(w http.ResponseWriter, r *http.Request) {
	page, err := listOf(s.pushStatuses(auth.FromContext(r.Context())), r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, page)
}

// push does something with the push that the URL names, and answers how it is.
func (s server) push(do func(r *http.Request, name string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, who := r.PathValue("name"), auth.FromContext(r.Context())
		if !s.answerPush(nil, name, who) {
			problem(w, http.StatusNotFound, ErrNoPush.Error())
			return
		}
		err := do(r, name)
		switch {
		case errors.Is(err, ErrNoPush):
			problem(w, http.StatusNotFound, err.Error())
		case errors.Is(err, ErrRuns), errors.Is(err, ErrStopped):
			problem(w, http.StatusConflict, err.Error())
		case err != nil:
			problem(w, http.StatusBadRequest, err.Error())
		case !s.answerPush(w, name, who):
			problem(w, http.StatusNotFound, ErrNoPush.Error())
		}
	}
}

// answerPush writes the state of a push, unless w is nil, and tells whether
// there is such a push for the principal.
func (s server) answerPush(w http.ResponseWriter, name string, who auth.Principal) bool {
	for _, p := range s.pushStatuses(who) {
		if p.Name == name {
			if w != nil {
				writeJSON(w, http.StatusOK, p)
			}
			return true
		}
	}
	return false
}

func (s server) pushGet(*http.Request, string) error { return nil }

func (s server) pushStart(r *http.Request, name string) error {
	return s.PushControl.Start(name, actor(r))
}

func (s server) pushRetry(_ *http.Request, name string) error { return s.PushControl.Retry(name) }

func (s server) pushStop(r *http.Request, name string) error {
	holdOff, err := holdOffOf(r)
	if err != nil {
		return err
	}
	return s.PushControl.Stop(name, actor(r), holdOff)
}
