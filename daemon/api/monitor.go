package api

import (
	"net/http"

	"camrelay/daemon/auth"
)

// Monitor returns the handler of the port for programs that watch the box:
// /metrics as it is handed, /healthz and /readyz. It lets in whom the API lets in.
func Monitor(cfg Config, metrics http.Handler) http.Handler {
	s := server{Config: cfg}
	mux := http.NewServeMux()
	for _, r := range []route{
		{"GET /metrics", auth.Read, wholeSite(metrics)},
		{"GET /healthz", auth.None, s.healthz},
		{"GET /readyz", auth.Read, s.readyz},
	} {
		mux.HandleFunc(r.pattern, s.guard(r))
	}
	mux.HandleFunc("/", unknown(mux))
	return headers(plain(mux))
}

// wholeSite refuses users who may see some cameras only: metrics name all.
func wholeSite(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !auth.FromContext(r.Context()).MayViewAll() {
			Refuse(w, r, http.StatusForbidden, "this is for users who may see all cameras")
			return
		}
		next.ServeHTTP(w, r)
	}
}

// healthz tells whether the program lives. A camera or push that does not work
// is no reason to restart it.
func (s server) healthz(w http.ResponseWriter, _ *http.Request) {
	if s.Alive != nil && !s.Alive() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "stuck"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz tells whether a configuration runs and its servers listen.
// Why not is told to those who may see all cameras.
func (s server) readyz(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status  string   `json:"status"` // ready, not ready
		Reasons []string `json:"reasons"`
	}{"ready", []string{}}
	code := http.StatusOK
	if s.Ready != nil {
		answer.Reasons = append(answer.Reasons, s.Ready()...)
	}
	if len(answer.Reasons) > 0 {
		answer.Status, code = "not ready", http.StatusServiceUnavailable
	}
	if !auth.FromContext(r.Context()).MayViewAll() {
		answer.Reasons = []string{}
	}
	writeJSON(w, code, answer)
}
