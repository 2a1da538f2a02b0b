package api

import (
	"net/http"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/session"
)

// v3Session is what MediaMTX's items of sessions and connections have in
// common. Cameras are its sources and have no item; a push reads its path.
type v3Session struct {
	ID            string    `json:"id"`
	Created       time.Time `json:"created"`
	RemoteAddr    string    `json:"remoteAddr"`
	State         string    `json:"state"` // read
	Path          string    `json:"path"`
	Query         string    `json:"query"` // always empty: it may hold a secret
	User          string    `json:"user"`
	UserAgent     string    `json:"userAgent"`
	InboundBytes  uint64    `json:"inboundBytes"`
	OutboundBytes uint64    `json:"outboundBytes"`
	BytesReceived uint64    `json:"bytesReceived"`
	BytesSent     uint64    `json:"bytesSent"`
	*v3RTSP
}

// v3RTSP is what items of RTSP sessions have besides.
type v3RTSP struct {
	Transport *string  `json:"transport"` // null: not told
	Profile   *string  `json:"profile"`
	Conns     []string `json:"conns"`
}

// v3Kind is one of MediaMTX's kinds of session.
type v3Kind struct {
	name     string // in the URL
	item     string // in errors
	protocol string
}

// v3Kinds is the table of them.
func v3Kinds() []v3Kind {
	return []v3Kind{
		{"rtspsessions", "session", "RTSP"},
		{"rtmpconns", "connection", "RTMP"},
		{"srtconns", "connection", "SRT"},
		{"hlssessions", "session", "HLS"},
	}
}

// v3Sessions are the routes of the table.
func (s server) v3Sessions() []route {
	var all []route
	for _, k := range v3Kinds() {
		all = append(all,
			route{"GET /v3/" + k.name + "/list", auth.Read, s.v3List(k)},
			route{"GET /v3/" + k.name + "/get/{id}", auth.Read, s.v3One(k, s.v3Get)},
			route{"POST /v3/" + k.name + "/kick/{id}", auth.Operate, s.v3One(k, s.v3Kick)},
		)
	}
	return all
}

// has tells whether the session is of the kind and the principal may see it.
func (k v3Kind) has(one *session.Session, who auth.Principal) bool {
	return one.Protocol == k.protocol && (one.Kind == session.Viewer || one.Kind == session.Push) && who.MayView(one.Path)
}

func (s server) v3List(k v3Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		items, who := []v3Session{}, auth.FromContext(r.Context())
		for _, one := range s.Sessions.List() {
			if k.has(one, who) {
				items = append(items, v3Item(one))
			}
		}
		v3Page(w, r, items)
	}
}

// v3One finds the session that the URL names and hands it to do, which tells
// whether it was there.
func (s server) v3One(k v3Kind, do func(http.ResponseWriter, *http.Request, *session.Session) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !keepalive.ValidID(id) {
			v3Error(w, http.StatusBadRequest, "invalid UUID")
			return
		}
		one := s.Sessions.Get(id)
		if one == nil || !k.has(one, auth.FromContext(r.Context())) || !do(w, r, one) {
			v3Error(w, http.StatusNotFound, k.item+" not found")
		}
	}
}

func (s server) v3Get(w http.ResponseWriter, _ *http.Request, one *session.Session) bool {
	writeJSON(w, http.StatusOK, v3Item(one))
	return true
}

// v3Kick ends a session. Of all who kick it one is told so, the others that it
// is not there any more.
func (s server) v3Kick(w http.ResponseWriter, r *http.Request, one *session.Session) bool {
	if !s.End(one, actor(r), "kicked through the API", s.Terminate().HoldOff) {
		return false
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return true
}

func v3Item(one *session.Session) v3Session {
	read, wrote := one.Counts()
	item := v3Session{
		ID: one.ID, Created: one.Start.Round(0), RemoteAddr: one.Remote, State: "read", Path: one.Path,
		User: one.User, UserAgent: one.UserAgent,
		InboundBytes: read, OutboundBytes: wrote, BytesReceived: read, BytesSent: wrote,
	}
	if one.Protocol == "RTSP" {
		item.v3RTSP = &v3RTSP{Conns: []string{}}
	}
	return item
}
