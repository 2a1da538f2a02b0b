package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
)

// ConfigStatus tells what runs and what is wrong with the files.
type ConfigStatus struct {
	// State is applied, partial (applied without the drop-ins, or pushes that the API keeps,
	// that have mistakes), applying (reverted unless cameras are warm again by confirm_by),
	// rejected (what ran before goes on), rolled_back, or last_known_good (rejected at the
	// start: what ran last time runs).
	State       string        `json:"state"`
	Generation  int           `json:"generation"` // of what runs; goes on after a restart
	Hash        string        `json:"hash"`       // of the files as they were read last
	AppliedHash string        `json:"applied_hash"`
	AppliedAt   *time.Time    `json:"applied_at"`
	ConfirmBy   *time.Time    `json:"confirm_by"` // null: nothing is waited for
	Reason      string        `json:"reason"`     // of rolled_back
	Files       []ConfigFile  `json:"files"`      // in order of reading
	Errors      config.Errors `json:"errors"`     // why files were rejected
	Problems    []string      `json:"problems"`   // what was applied but does not work, e.g. a port in use
	Warnings    config.Errors `json:"warnings"`
	// RestartRequired are the keys that take effect with the next start: none, in this version.
	RestartRequired []string `json:"restart_required"`
}

// ConfigFile is one file of the configuration.
type ConfigFile struct {
	Path     string        `json:"path"`
	SHA256   string        `json:"sha256"` // empty: it cannot be read
	Modified *time.Time    `json:"mtime"`
	Result   string        `json:"result"` // ok, rejected, skipped, partial: without pushes that have mistakes
	Errors   config.Errors `json:"errors"`
}

// PlanRequest asks what would become of a file if it were saved.
type PlanRequest struct {
	File string `json:"file"` // base name of the main file or of a drop-in; empty: the files as they are
	Text string `json:"text"`
}

// PlanResult tells what would become of the files.
type PlanResult struct {
	Valid    bool          `json:"valid"`
	Hash     string        `json:"hash"` // of the files with the one in question
	Errors   config.Errors `json:"errors"`
	Warnings config.Errors `json:"warnings"`
	Skipped  []string      `json:"skipped"` // drop-ins, or FILE: pushes.NAME, that would be left out
	Changes  []PlanChange  `json:"changes"` // whatever they do not name goes on without a gap
}

// PlanChange is one thing that would be touched.
type PlanChange struct {
	Object string `json:"object"` // e.g. camera gate
	Effect string `json:"effect"` // e.g. reconnects
}

// String is a line for people.
func (c PlanChange) String() string { return c.Object + ": " + c.Effect }

// maxConfigWait bounds how long a request waits for a status.
const maxConfigWait = 10 * time.Minute

// configStatus answers at once, or, with timeout, when the status is another than
// If-None-Match names, or, with wait_hash, when the files of that hash have been
// decided upon. After the timeout it answers what there is.
func (s server) configStatus(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	wait, err := time.ParseDuration(query.Get("timeout"))
	if query.Get("timeout") == "" {
		wait, err = 0, nil
		if query.Get("wait_hash") != "" {
			wait = 30 * time.Second
		}
	}
	if err != nil || wait < 0 || wait > maxConfigWait {
		Refuse(w, r, http.StatusBadRequest, "timeout is a duration of at most 10m, such as 30s")
		return
	}
	known, hash, who := r.Header.Get("If-None-Match"), query.Get("wait_hash"), auth.FromContext(r.Context())
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		st, changed := s.configNews()
		body, tag := encode(st.shownTo(who))
		waits := hash == "" && known == tag || hash != "" && (st.Hash != hash || st.State == "applying")
		if waits && wait > 0 {
			select {
			case <-changed:
				continue
			case <-r.Context().Done():
				return
			case <-end.C:
			}
		}
		// The server's own deadline is for answers that do not wait.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendTimeout)) // else the server's holds
		answer(w, known, tag, body)
		return
	}
}

func (s server) configNews() (ConfigStatus, <-chan struct{}) {
	if s.ConfigNews == nil {
		return s.Config.Config(), nil
	}
	return s.ConfigNews()
}

// shownTo returns st as somebody may see it, with no list that is null. Files and
// mistakes name users, all cameras and what they are called by: they are for those
// who may see all.
func (st ConfigStatus) shownTo(who auth.Principal) ConfigStatus {
	if !who.MayViewAll() {
		st.Reason, st.Files, st.Errors, st.Problems, st.Warnings = "", nil, nil, nil, nil
	}
	return st.whole()
}

// whole returns st with no list that is null.
func (st ConfigStatus) whole() ConfigStatus {
	st.Files = append([]ConfigFile{}, st.Files...)
	st.Problems = append([]string{}, st.Problems...)
	st.RestartRequired = append([]string{}, st.RestartRequired...)
	return st
}

// encode returns st as JSON, and the tag of that.
func encode(st ConfigStatus) (body []byte, tag string) {
	body, err := json.Marshal(st)
	if err != nil {
		panic("api: internal error: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return append(body, '\n'), `"` + hex.EncodeToString(sum[:16]) + `"`
}

// answer sends the body unless the client has it.
func answer(w http.ResponseWriter, known, tag string, body []byte) {
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache") // it may be kept, to be asked after
	if known == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the only error left is that the client is gone
}

// configSchema describes the files.
func (s server) configSchema(w http.ResponseWriter, _ *http.Request) {
	writeAs(w, "application/schema+json", http.StatusOK, config.NewSchema())
}

// configPlan tells what saving a file would do, and saves nothing.
func (s server) configPlan(w http.ResponseWriter, r *http.Request) {
	var req PlanRequest
	if err := decodeBody(r, &req); err != nil {
		Refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	if s.Plan == nil {
		Refuse(w, r, http.StatusNotFound, "there are no files")
		return
	}
	writeJSON(w, http.StatusOK, s.Plan(req))
}
