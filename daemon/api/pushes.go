package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
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
	// Add adds a push until Remove or the end of the daemon. text is a JSON object
	// with the keys of a push in a file. The error is of type config.Errors if that
	// is what is wrong, or it wraps ErrPushExists.
	Add(name string, text []byte) error
	// Keep adds a push for good: to the file that it names, which is read again. The
	// error is as that of Add.
	Keep(name string, text []byte) (file string, err error)
	// Remove ends a push that was added or kept and forgets it. The error is ErrNoPush or
	// of type *OwnedError.
	Remove(name, by string) error
}

// Errors of PushControl.
var (
	ErrNoPush  = errors.New("no such push")
	ErrRuns    = errors.New("the push runs already")
	ErrStopped = errors.New("the push is stopped, start it")

	ErrPushExists = errors.New("there is a push of this name")
)

// OwnedError tells that a push is a file's, which is to be edited instead.
type OwnedError struct{ File string }

// Error names the file.
func (e *OwnedError) Error() string { return "the push is named by " + e.File + ", edit that file" }

// PushStatus is one push.
type PushStatus struct {
	Name   string `json:"name"`
	Camera string `json:"camera"`
	URL    string `json:"url"` // of the primary target, without secrets
	RunStatus
	Status         string           `json:"status"`                 // as state
	ConnectedAt    *time.Time       `json:"connected_at,omitempty"` // only while media flows
	LastDisconnect *time.Time       `json:"last_disconnect"`        // when media flowed last and a session ended
	Errors         []PushErrorEntry `json:"errors"`                 // newest first, at most 5; success keeps them
	Stopped        *StopStatus      `json:"stopped"`                // null: nobody has
	Bytes          uint64           `json:"bytes"`
	BitrateKbits   int              `json:"bitrate_kbits"` // over 5 s
	Units          uint64           `json:"units"`
	Lost           uint64           `json:"units_lost"`
	LastSent       *time.Time       `json:"last_sent"`
	Target         string           `json:"target"` // in use: primary, backup
	BackupURL      string           `json:"backup_url,omitempty"`
	Enabled        bool             `json:"enabled"`
	Demand         bool             `json:"demand"`
	Comment        string           `json:"comment"`
	Platform       string           `json:"platform"`
	Priority       int              `json:"priority"`
	Limit          int              `json:"limit"`
	Retry          float64          `json:"retry_seconds"`
	File           string           `json:"file"` // that names it; empty: it was added by the API
	Audio          PushAudio        `json:"audio"`
	Warnings       []string         `json:"warnings"` // what the platform will not like
}

// PushErrorEntry is why one session or attempt has ended.
type PushErrorEntry struct {
	Message string    `json:"message"`
	At      time.Time `json:"at"`
	Class   string    `json:"class"`
}

// PushAudio is what becomes of the camera's sound.
type PushAudio struct {
	Mode   string `json:"mode"`   // auto, pass, silent, transcode, drop
	State  string `json:"state"`  // none, copied, made, silence; empty while nothing is sent
	In     string `json:"in"`     // codec of the camera's, empty if it has none
	Out    string `json:"out"`    // codec of what is sent, empty if there is none
	Reason string `json:"reason"` // why there is none, or silence, where the mode lets expect more
}

func (s server) pushStatus(p Push) PushStatus {
	st := PushStatus{
		Name: p.Name, Camera: p.Camera, URL: p.URL, RunStatus: runStatus(p.State), Status: string(p.State.Phase),
		ConnectedAt: timeOrNil(p.State.Connected), LastDisconnect: timeOrNil(p.State.Lost),
		Errors: []PushErrorEntry{}, Stopped: stopStatus(p.Stop),
		Bytes: p.Bytes, BitrateKbits: int(p.Bitrate / 1000), Units: p.Units, Lost: p.Lost, LastSent: timeOrNil(p.LastSent),
		Target: "primary", BackupURL: p.Backup, Enabled: p.Enabled, Demand: p.Demand, Comment: p.Comment,
		Platform: p.Platform, Priority: p.Priority, Limit: p.Limit, Retry: p.Retry.Seconds(), File: p.File,
		Audio: p.Audio, Warnings: append([]string{}, p.Warnings...),
	}
	if p.OnBackup {
		st.Target = "backup"
	}
	for _, e := range p.State.Errors {
		st.Errors = append(st.Errors, PushErrorEntry{e.Message, e.At, e.Class.String()})
	}
	return st
}

// pushKept is the answer to a push that is kept: it runs once the file is read.
type pushKept struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// pushAdd adds a push for as long as the daemon runs, or for good.
func (s server) pushAdd(w http.ResponseWriter, r *http.Request) {
	var body map[string]json.RawMessage
	var name string
	keep := false
	err := decodeBody(r, &body)
	if err == nil && json.Unmarshal(body["name"], &name) != nil {
		err = errors.New("name is missing, or no string")
	}
	if raw, ok := body["persist"]; err == nil && ok && json.Unmarshal(raw, &keep) != nil {
		err = errors.New("persist is to be true or false")
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	delete(body, "name")
	delete(body, "persist")
	text, err := json.Marshal(body)
	if err != nil {
		panic("api: internal error: " + err.Error()) // it has just been decoded
	}
	answer := pushKept{Name: name}
	if keep {
		answer.File, err = s.PushControl.Keep(name, text)
	} else {
		err = s.PushControl.Add(name, text)
	}
	var wrong config.Errors
	switch {
	case errors.As(err, &wrong):
		problem(w, http.StatusBadRequest, wordsOf(wrong))
	case errors.Is(err, ErrPushExists):
		problem(w, http.StatusConflict, err.Error())
	case err != nil:
		problem(w, http.StatusServiceUnavailable, err.Error())
	case keep:
		w.Header().Set("Location", "/v1/pushes/"+name)
		writeJSON(w, http.StatusAccepted, answer)
	default:
		for _, p := range s.Pushes() {
			if p.Name == name {
				w.Header().Set("Location", "/v1/pushes/"+name)
				writeJSON(w, http.StatusCreated, s.pushStatus(p))
				return
			}
		}
		problem(w, http.StatusConflict, "the push is removed already")
	}
}

// wordsOf says what is wrong with the keys of a body, which has no lines.
func wordsOf(all config.Errors) string {
	var words []string
	for _, e := range all {
		text := e.Message
		if e.Key != "" {
			text = e.Key + ": " + text
		}
		if e.Hint != "" {
			text += " (" + e.Hint + ")"
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

// pushRemove ends a push that was added.
func (s server) pushRemove(w http.ResponseWriter, r *http.Request) {
	var owned *OwnedError
	switch err := s.PushControl.Remove(r.PathValue("name"), actor(r)); {
	case errors.As(err, &owned):
		problem(w, http.StatusConflict, err.Error())
	case errors.Is(err, ErrNoPush):
		problem(w, http.StatusNotFound, err.Error())
	case err != nil: // it is there still: the disk is full, say
		problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		w.WriteHeader(http.StatusNoContent)
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

// leastRest is how long a push rests that is stopped where the configuration has
// no hold-off: it is wanted all the time.
const leastRest = time.Minute

func (s server) pushStop(r *http.Request, name string) error {
	holdOff, err := s.holdOff(r)
	if err != nil {
		return err
	}
	return s.PushControl.Stop(name, actor(r), cmp.Or(holdOff, leastRest))
}

// pushPause lets a push rest until it is resumed, or for hold_off.
func (s server) pushPause(r *http.Request, name string) error {
	holdOff, err := s.holdOff(r)
	if err != nil {
		return err
	}
	if r.ContentLength == 0 {
		holdOff = -1
	}
	return s.PushControl.Stop(name, actor(r), cmp.Or(holdOff, leastRest))
}
