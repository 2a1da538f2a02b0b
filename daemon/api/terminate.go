package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
)

// mediaSession is a session in Flashphoner's terms, with our states.
type mediaSession struct {
	ID        string        `json:"mediaSessionId"` // empty: between two attempts
	Name      string        `json:"name"`           // of the stream
	Published *bool         `json:"published"`      // null: a keepalive
	Status    session.State `json:"status"`
	Kind      session.Kind  `json:"kind"`
	Protocol  string        `json:"protocol"`
	Push      string        `json:"push"` // name of the push
	Remote    string        `json:"remoteAddr"`
	User      string        `json:"user"`
	UserAgent string        `json:"userAgent"`
	Created   time.Time     `json:"created"`
}

// match is something that can be ended.
type match struct {
	mediaSession
	end func(by string, holdOff time.Duration) bool // false: somebody else has
}

// find returns what the filter selects among what the principal may see, and
// the IDs of nobody. Keepalives are leases that only their owner takes away:
// they are selected only if they are asked for. Cameras and pushes that wait
// for their next attempt have no session, and are selected like one.
func (s server) find(f session.Filter, who auth.Principal) (found []match, missing []string) {
	sessions, _ := s.Sessions.Find(f)
	now := time.Now()
	asked := f.Kind != nil || f.Protocol != nil || f.ID != nil || f.IDs != nil
	for _, one := range sessions {
		if who.MayView(one.Path) && (asked || one.Kind != session.Keepalive) {
			found = append(found, s.matchOf(one, now))
		}
	}
	if f.ID == nil && f.IDs == nil && f.Status == nil {
		for _, m := range s.between() {
			if who.MayView(m.Name) && selects(f, m.mediaSession) {
				found = append(found, m)
			}
		}
	}
	ids := f.IDs
	if f.ID != nil {
		ids = append([]string{*f.ID}, ids...)
	}
	missing = []string{}
	for _, id := range ids {
		if one := s.Sessions.Get(id); one == nil || !who.MayView(one.Path) {
			missing = append(missing, id)
		}
	}
	return found, missing
}

func (s server) matchOf(one *session.Session, now time.Time) match {
	return match{
		mediaSession{
			ID: one.ID, Name: one.Path, Published: one.Kind.Published(), Status: one.State(now), Kind: one.Kind,
			Protocol: one.Protocol, Push: one.Push, Remote: one.Remote, User: one.User, UserAgent: one.UserAgent,
			Created: one.Start.Round(0),
		},
		func(by string, holdOff time.Duration) bool {
			return s.End(one, by, "terminated through the API", holdOff)
		},
	}
}

// between returns the cameras and pushes that are kept going and have no
// session at the moment.
func (s server) between() (all []match) {
	pulled, pushed := make(map[string]bool), make(map[string]bool)
	for _, one := range s.Sessions.List() {
		switch one.Kind {
		case session.Pull:
			pulled[one.Path] = true
		case session.Push:
			pushed[one.Push] = true
		case session.Viewer, session.Keepalive:
		}
	}
	for _, p := range s.Relay.Paths() {
		st := p.State()
		if d := p.Demand(); !d.Running || d.Stop != nil || pulled[p.Name()] || !trying(st) {
			continue
		}
		all = append(all, match{
			mediaSession{
				Name: p.Name(), Published: session.Pull.Published(), Status: session.State(st.Phase),
				Kind: session.Pull, Protocol: "RTSP", Created: st.Since,
			},
			func(by string, holdOff time.Duration) bool { return s.stopCamera(p, by, holdOff) },
		})
	}
	for _, p := range s.Pushes() {
		if pushed[p.Name] || !trying(p.State) {
			continue
		}
		scheme, _, _ := strings.Cut(p.URL, "://")
		all = append(all, match{
			mediaSession{
				Name: p.Camera, Published: session.Push.Published(), Status: session.State(p.State.Phase),
				Kind: session.Push, Protocol: session.ProtocolOf(scheme), Push: p.Name, Created: p.State.Since,
			},
			func(by string, holdOff time.Duration) bool { return s.PushControl.Stop(p.Name, by, holdOff) == nil },
		})
	}
	return all
}

// trying tells whether attempts are made.
func trying(st supervise.State) bool {
	return st.Phase == supervise.Starting || st.Phase == supervise.Reconnecting || st.Phase == supervise.Active
}

// selects tells whether the filter's fields apply that do not need a session.
func selects(f session.Filter, m mediaSession) bool {
	return (f.Name == nil || *f.Name == m.Name) &&
		(f.Published == nil || *f.Published == *m.Published) &&
		(f.Kind == nil || *f.Kind == m.Kind) &&
		(f.Protocol == nil || strings.EqualFold(*f.Protocol, m.Protocol))
}

// stopCamera stops a camera, with its running session if there is one.
func (s server) stopCamera(p *relay.Path, by string, holdOff time.Duration) bool {
	pull := session.Pull
	running, _ := s.Sessions.Find(session.Filter{Name: new(p.Name()), Kind: &pull})
	for _, one := range running {
		one.Kick(by, "the camera is stopped")
	}
	p.Stop(by, holdOff)
	return true
}

// terminated is the answer of terminate.
type terminated struct {
	Status  string         `json:"status"`
	DryRun  bool           `json:"dryRun"`
	Count   int            `json:"count"`
	Matched []mediaSession `json:"matched"`
	Missing []string       `json:"missing"` // of the IDs asked for
	By      string         `json:"by"`
	HoldOff float64        `json:"holdOff"` // seconds for which cameras and pushes stay stopped
}

// terminate ends what the body selects. 200 means that it is being ended.
func (s server) terminate(w http.ResponseWriter, r *http.Request) {
	o, err := parseOrder(r)
	rules := s.Terminate()
	switch {
	case err != nil:
	case o.all && !o.filter.Empty():
		err = errors.New(`"all" means everything: leave out the other filters, or leave out "all"`)
	case !o.all && o.filter.Empty() && !rules.EmptyMeansAll:
		err = errors.New(`no filter is given: to end everything say {"all":true}`)
	}
	if err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	holdOff := rules.HoldOff
	if o.holdOff != nil {
		holdOff = *o.holdOff
	}
	found, missing := s.find(o.filter, auth.FromContext(r.Context()))
	answer := terminated{
		Status: "ok", DryRun: o.dryRun, Matched: []mediaSession{}, Missing: missing, By: actor(r), HoldOff: holdOff.Seconds(),
	}
	for _, m := range found {
		if m.Status != session.Closing && (o.dryRun || m.end(answer.By, holdOff)) {
			answer.Matched = append(answer.Matched, m.mediaSession)
		}
	}
	answer.Count = len(answer.Matched)
	if answer.Count == 0 {
		writeJSON(w, http.StatusNotFound, map[string]any{
			"status": "error", "error": "nothing matches", "missing": missing,
		})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// streamFind lists what the body selects, everything if it selects nothing.
func (s server) streamFind(w http.ResponseWriter, r *http.Request) {
	o, err := parseOrder(r)
	if err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	s.listFound(w, r, o.filter)
}

// streamFindAll lists everything.
func (s server) streamFindAll(w http.ResponseWriter, r *http.Request) {
	s.listFound(w, r, session.Filter{})
}

func (s server) listFound(w http.ResponseWriter, r *http.Request, f session.Filter) {
	found, _ := s.find(f, auth.FromContext(r.Context()))
	if len(found) == 0 {
		v3Error(w, http.StatusNotFound, "nothing matches")
		return
	}
	all := make([]mediaSession, 0, len(found))
	for _, m := range found {
		all = append(all, m.mediaSession)
	}
	slices.SortStableFunc(all, func(a, b mediaSession) int { return a.Created.Compare(b.Created) })
	writeJSON(w, http.StatusOK, all)
}
