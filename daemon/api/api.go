// Package api is the HTTP API on the control port: MediaMTX's v3 shapes where
// it has them, camrelay's own under /v1. It reads from the rooms that hold the
// state and keeps none itself. Handlers may run concurrently.
package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/daemon/webhook"
)

// Config is what the API reads from.
type Config struct {
	Version   string
	Started   time.Time
	Access    *auth.Access
	Relay     *relay.Relay
	Sources   Sources
	Sessions  *session.Registry
	Keepalive *keepalive.Leases
	// End ends a session. A camera or push stays stopped for holdOff; 0: until it
	// is wanted again. It tells whether the session was there and nobody else has.
	End         func(one *session.Session, by, reason string, holdOff time.Duration) bool
	PushControl PushControl
	Terminate   func() config.Terminate                // what the configuration says of it
	Pushes      func() []Push                          // by name
	HLS         func(camera string) *HLSStatus         // nil: nothing is packaged
	Outputs     func(camera string) []OutputStatus     // nil: nobody knows
	Config      func() ConfigStatus                    // of the files
	ConfigNews  func() (ConfigStatus, <-chan struct{}) // the same, and what is closed when it changes; nil: it never does
	Plan        func(PlanRequest) PlanResult           // nil: there are no files
	Listeners   func() map[string]string               // server → bound address
	SourceURL   func(path string) string               // of its camera, without secrets; nil: not told
	Events      *webhook.Log                           // nil: nothing happens
	Hooks       func() map[string]webhook.Status       // by key in the section hooks; nil: there are none
	Alive       func() bool                            // what applies the configuration goes round; nil: it does
	Ready       func() []string                        // what does not work; nil: everything does
	Box         func() *BoxStatus                      // nil, or the answer is: nothing is known
	Identify    func() bool                            // makes the box blink, false if it cannot; nil: it cannot
}

// Push is the state of one push.
type Push struct {
	Name, Camera string
	URL          string // of the primary target, without secrets
	Backup       string // URL of the other target; empty: there is none
	OnBackup     bool   // the backup is used now, or next
	State        supervise.State
	Stop         *relay.Stop // nil: nobody has stopped it

	Bytes    uint64
	Units    uint64
	Lost     uint64
	Bitrate  float64 // bit/s over the last 5 s
	LastSent time.Time
	RTT      time.Duration // of the newest session, 0 if unknown

	Enabled, Demand   bool
	Comment, Platform string
	Priority, Limit   int
	Retry             time.Duration
	File              string // that names it; empty: it was added by the API
	Audio             PushAudio
	Warnings          []string // what its platform will not like in what the camera sends
}

type server struct {
	Config

	followers chan struct{} // holds one for each client that follows the events
	watching  chan struct{} // holds one for each of them that may only read
}

// route is one line of the API's surface.
type route struct {
	pattern string
	right   auth.Right
	handler http.HandlerFunc
}

func (s server) routes() []route {
	return slices.Concat(s.v3Sessions(), []route{
		{"GET /healthz", auth.None, s.healthz},
		{"GET /readyz", auth.Read, s.readyz},
		{"GET /openapi.json", auth.Read, s.openAPI},
		{"GET /v3/info", auth.Read, s.v3Info},
		{"GET /v3/hlsmuxers/list", auth.Read, s.muxersList},
		{"GET /v3/hlsmuxers/get/{name...}", auth.Read, s.muxersGet},
		{"GET /v3/config/global/get", auth.Read, s.configGlobal},
		{"GET /v3/config/paths/list", auth.Read, s.confsList},
		{"GET /v3/config/paths/get/{name...}", auth.Read, s.confsGet},
		{"GET /v3/paths/list", auth.Read, s.pathsList},
		{"GET /v3/paths/get/{name...}", auth.Read, s.pathsGet},
		{"POST /v3/paths/keepalive/add/{name...}", auth.Operate, s.keepaliveAdd},
		{"DELETE /v3/paths/keepalive/remove/{id}", auth.Operate, s.keepaliveRemove},
		{"POST /v3/paths/keepalive/renew/{id}", auth.Operate, s.keepaliveRenew},
		{"GET /v3/paths/keepalive/list", auth.Read, s.keepaliveList},
		{"GET /v3/paths/keepalive/get/{id}", auth.Read, s.keepaliveGet},
		{"POST /v3/config/paths/add/{name...}", auth.Admin, s.sourceAdd},
		{"DELETE /v3/config/paths/delete/{name...}", auth.Admin, s.sourceRemove},
		{"GET /v1/status", auth.Read, s.status},
		{"GET /v1/events", auth.Read, s.events},
		{"GET /v1/config/status", auth.Read, s.configStatus},
		{"POST /v1/config/plan", auth.Admin, s.configPlan},
		{"GET /v1/config/schema", auth.Read, s.configSchema},
		{"POST /v1/identify", auth.Operate, s.identify},
		{"GET /v1/sessions", auth.Read, s.sessionsList},
		{"GET /v1/sessions/ended", auth.Read, s.sessionsEnded},
		{"POST /v1/links", auth.Operate, s.linkAdd},
		{"GET /v1/cameras", auth.Read, s.camerasList},
		{"GET /v1/cameras/{name}", auth.Read, s.camera(s.cameraGet)},
		{"GET /v1/cameras/{name}/demand", auth.Read, s.camera(s.cameraDemand)},
		{"POST /v1/cameras/{name}/start", auth.Operate, s.camera(s.cameraStart)},
		{"POST /v1/cameras/{name}/stop", auth.Operate, s.camera(s.cameraStop)},
		{"GET /v1/pushes", auth.Read, s.pushesList},
		{"POST /v1/pushes", auth.Admin, s.pushAdd},
		{"DELETE /v1/pushes/{name}", auth.Admin, s.pushRemove},
		{"GET /v1/pushes/{name}", auth.Read, s.push(s.pushGet)},
		{"POST /v1/pushes/{name}/start", auth.Operate, s.push(s.pushStart)},
		{"POST /v1/pushes/{name}/stop", auth.Operate, s.push(s.pushStop)},
		{"POST /v1/pushes/{name}/pause", auth.Operate, s.push(s.pushPause)},
		{"POST /v1/pushes/{name}/resume", auth.Operate, s.push(s.pushStart)},
		{"POST /v1/pushes/{name}/retry", auth.Operate, s.push(s.pushRetry)},
		{"POST /rest-api/stream/terminate", auth.Operate, s.terminate},
		{"POST /rest-api/stream/find", auth.Read, s.streamFind},
		{"POST /rest-api/stream/find_all", auth.Read, s.streamFindAll},
	})
}

// New returns the API's handler.
func New(cfg Config) http.Handler {
	if cfg.Events == nil {
		cfg.Events = webhook.NewLog()
	}
	if cfg.Hooks == nil {
		cfg.Hooks = func() map[string]webhook.Status { return map[string]webhook.Status{} }
	}
	s := server{cfg, make(chan struct{}, maxFollowers), make(chan struct{}, maxWatching)}
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		r.handler = known(r.pattern, r.handler)
		mux.HandleFunc(r.pattern, s.guard(r))
	}
	mux.HandleFunc("/", unknown(mux))
	return headers(plain(mux))
}

// headers sets what every answer carries.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// v3Error answers in the shape of MediaMTX's errors.
func v3Error(w http.ResponseWriter, code int, text string) {
	writeJSON(w, code, map[string]string{"status": "error", "error": text})
}

func writeJSON(w http.ResponseWriter, code int, v any) { writeAs(w, "application/json", code, v) }

func writeAs(w http.ResponseWriter, mime string, code int, v any) {
	w.Header().Set("Content-Type", mime)
	w.WriteHeader(code)
	// The only error left is that the client is gone.
	_ = json.NewEncoder(w).Encode(v)
}
