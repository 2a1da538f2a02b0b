package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"camrelay/daemon/relay"
)

// HealthStatus is how a camera is, as relay.Health has it.
type HealthStatus struct {
	State      string            `json:"state"` // warm, degraded, stalled, or that of a camera that does not deliver
	Warm       bool              `json:"warm"`
	Reason     string            `json:"reason"`
	Since      time.Time         `json:"since"`
	Conditions []ConditionStatus `json:"conditions"`
}

// ConditionStatus is one thing that is wrong.
type ConditionStatus struct {
	Name  string    `json:"name"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

// StopStatus is that somebody has stopped a camera or a push.
type StopStatus struct {
	By    string     `json:"by"`
	At    time.Time  `json:"at"`
	Until *time.Time `json:"until"` // null: not by time
}

// DemandStatus is the ledger of a camera: why it runs or not.
type DemandStatus struct {
	Name    string        `json:"name"`
	Running bool          `json:"running"`
	Wanted  bool          `json:"wanted"` // a claim starts it, and it is not stopped
	Held    bool          `json:"held"`   // a claim keeps it running, and it is not stopped
	Why     string        `json:"why"`
	Stopped *StopStatus   `json:"stopped"` // null: nobody has
	Claims  []DemandEntry `json:"claims"`
	Next    *NextStatus   `json:"next"` // null: nothing
}

// NextStatus is what will happen if nobody does anything.
type NextStatus struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
}

func healthStatus(h relay.Health) HealthStatus {
	st := HealthStatus{
		State: h.State, Warm: h.Warm, Reason: h.Reason, Since: h.Since, Conditions: []ConditionStatus{},
	}
	for _, c := range h.Conditions {
		st.Conditions = append(st.Conditions, ConditionStatus{string(c.Name), c.Text, c.Since})
	}
	return st
}

func stopStatus(s *relay.Stop) *StopStatus {
	if s == nil {
		return nil
	}
	return &StopStatus{By: s.By, At: s.At, Until: timeOrNil(s.Until)}
}

func demandStatus(name string, d relay.Demand) DemandStatus {
	st := DemandStatus{
		Name: name, Running: d.Running, Wanted: d.Wanted, Held: d.Held, Why: d.Why,
		Stopped: stopStatus(d.Stop), Claims: demandEntries(d.Claims),
	}
	if d.Next.What != "" {
		st.Next = &NextStatus{d.Next.What, d.Next.At}
	}
	return st
}

func demandEntries(claims []relay.Claim) []DemandEntry {
	all := make([]DemandEntry, 0, len(claims))
	for _, c := range claims {
		all = append(all, DemandEntry{
			ID: c.ID, Kind: string(c.Kind), By: c.By, Starts: c.Starts, Holds: c.Holds, Since: c.Since,
		})
	}
	return all
}

// camerasList lists the cameras by name.
func (s server) camerasList(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	all := itemsOf(s.paths(r), func(p *relay.Path) CameraStatus { return s.cameraStatus(p, now) })
	page, err := listOf(all, r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, page)
}

// camera finds the camera that the URL names and hands it to do.
func (s server) camera(do func(http.ResponseWriter, *http.Request, *relay.Path)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := s.path(r)
		if p == nil {
			problem(w, http.StatusNotFound, "no such camera")
			return
		}
		do(w, r, p)
	}
}

func (s server) cameraGet(w http.ResponseWriter, _ *http.Request, p *relay.Path) {
	writeJSON(w, http.StatusOK, s.cameraStatus(p, time.Now()))
}

func (s server) cameraDemand(w http.ResponseWriter, _ *http.Request, p *relay.Path) {
	writeJSON(w, http.StatusOK, demandStatus(p.Name(), p.Demand()))
}

// cameraStart ends a stop, and makes a camera try at once that waits for its
// next attempt.
func (s server) cameraStart(w http.ResponseWriter, r *http.Request, p *relay.Path) {
	p.Start(actor(r))
	s.cameraDemand(w, r, p)
}

// cameraStop stops a camera for hold_off.
func (s server) cameraStop(w http.ResponseWriter, r *http.Request, p *relay.Path) {
	holdOff, err := s.holdOff(r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	s.stopCamera(p, actor(r), holdOff)
	s.cameraDemand(w, r, p)
}

// forever is the hold_off of who wants that a camera or push stays stopped until
// it is started. Nobody gets it by leaving something out.
const forever = `"forever"`

// holdOff reads the body of stop: how long the stop lasts, as the configuration
// says where the body does not, negative for ever.
func (s server) holdOff(r *http.Request) (time.Duration, error) {
	var body struct {
		HoldOff json.RawMessage `json:"hold_off"`
	}
	switch err := decodeBody(r, &body); {
	case err != nil:
		return 0, err
	case body.HoldOff == nil:
		return s.Terminate().HoldOff, nil
	case string(body.HoldOff) == forever:
		return -1, nil
	}
	d, err := parseHoldOff(body.HoldOff)
	if d == 0 && err == nil {
		err = errors.New("a hold_off of 0 stops nothing")
	}
	if err != nil {
		return 0, fmt.Errorf("%w; %s stops until it is started", err, forever)
	}
	return d, nil
}
