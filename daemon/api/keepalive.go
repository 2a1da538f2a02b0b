package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/keepalive"
)

// maxWait is how long a client may wait for a keepalive to hold its path.
const maxWait = 30 * time.Second

// v3Keepalive is the item of mediamtx's pull request 5196, and more.
type v3Keepalive struct {
	ID          string     `json:"id"`
	Created     time.Time  `json:"created"`
	Path        string     `json:"path"`
	CreatorUser string     `json:"creatorUser"`
	CreatorIP   string     `json:"creatorIP"`
	State       string     `json:"state"`  // waiting, holding, degraded, expired
	Reason      string     `json:"reason"` // why it is not holding
	Since       time.Time  `json:"since"`  // of state
	Label       string     `json:"label"`
	Priority    int        `json:"priority"`
	TTL         string     `json:"ttl"` // as "10m0s"; empty: none
	Expires     *time.Time `json:"expires"`
	Owner       string     `json:"owner"` // api, config
	Name        string     `json:"name"`  // in the configuration
	Saved       bool       `json:"saved"` // it outlives a restart
}

// keepaliveBody is what may come with add and renew.
type keepaliveBody struct {
	Label    string `json:"label"`
	TTL      any    `json:"ttl"` // "10m" or seconds
	Priority int    `json:"priority"`
}

// KeepaliveStatus tells whether keepalives outlive a restart.
type KeepaliveStatus struct {
	Count  int        `json:"count"`
	File   string     `json:"file"`
	Saved  bool       `json:"saved"`
	Fault  string     `json:"fault"` // why they are not saved
	Since  *time.Time `json:"fault_since"`
	Loaded string     `json:"load_fault"` // what was wrong with the file at the start
}

func (s server) keepaliveAdd(w http.ResponseWriter, r *http.Request) {
	name, body := r.PathValue("name"), keepaliveBody{}
	wait, err := duration(r.URL.Query().Get("wait"))
	switch {
	case !keepalive.ValidPath(name):
		v3Error(w, http.StatusBadRequest, "invalid path name")
		return
	case !auth.FromContext(r.Context()).MayView(name):
		v3Error(w, http.StatusForbidden, "this needs the right to read path "+name)
		return
	case err != nil || wait < 0 || wait > maxWait:
		v3Error(w, http.StatusBadRequest, fmt.Sprintf("wait is to be 0 to %v", maxWait))
		return
	}
	if err := decodeBody(r, &body); err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	ttl, err := body.ttl()
	if err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	l, err := s.Keepalive.Add(r.Context(), keepalive.Request{
		Path: name, Label: body.Label, Priority: body.Priority, TTL: ttl,
	}, caller(r))
	if err != nil {
		keepaliveError(w, err)
		return
	}
	answer := map[string]any{"id": l.ID}
	if !l.Saved {
		answer["warning"] = "not on disk yet, it may not outlive a restart"
	}
	if wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		now, ok := s.Keepalive.Await(ctx, l.ID)
		if !ok {
			v3Error(w, http.StatusNotFound, "keepalive was removed meanwhile")
			return
		}
		answer["state"], answer["reason"] = now.State, now.Reason
	}
	writeJSON(w, http.StatusOK, answer)
}

// lease returns the keepalive that the URL names, if there is one that the
// principal may see. Else it answers, and ok is false.
func (s server) lease(w http.ResponseWriter, r *http.Request) (l keepalive.Lease, ok bool) {
	id := r.PathValue("id")
	if !keepalive.ValidID(id) {
		v3Error(w, http.StatusBadRequest, "invalid id")
		return l, false
	}
	l, ok = s.Keepalive.Get(id)
	if !ok || !auth.FromContext(r.Context()).MayView(l.Path) {
		keepaliveError(w, keepalive.ErrNotFound)
		return l, false
	}
	return l, true
}

func (s server) keepaliveRemove(w http.ResponseWriter, r *http.Request) {
	l, ok := s.lease(w, r)
	if !ok {
		return
	}
	if err := s.Keepalive.Remove(r.Context(), l.ID, caller(r)); err != nil {
		keepaliveError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s server) keepaliveRenew(w http.ResponseWriter, r *http.Request) {
	l, ok := s.lease(w, r)
	if !ok {
		return
	}
	var body struct {
		TTL any `json:"ttl"`
	}
	if err := decodeBody(r, &body); err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	ttl, err := keepaliveBody{TTL: body.TTL}.ttl()
	if err != nil {
		v3Error(w, http.StatusBadRequest, err.Error())
		return
	}
	if l, err = s.Keepalive.Renew(r.Context(), l.ID, ttl, caller(r)); err != nil {
		keepaliveError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, keepaliveItem(l))
}

func (s server) keepaliveList(w http.ResponseWriter, r *http.Request) {
	who, query := auth.FromContext(r.Context()), r.URL.Query()
	all := slices.DeleteFunc(s.Keepalive.List(), func(l keepalive.Lease) bool {
		return !who.MayView(l.Path) || query.Has("path") && l.Path != query.Get("path")
	})
	items := make([]v3Keepalive, 0, len(all))
	for _, l := range all {
		items = append(items, keepaliveItem(l))
	}
	v3Page(w, r, items)
}

func (s server) keepaliveGet(w http.ResponseWriter, r *http.Request) {
	if l, ok := s.lease(w, r); ok {
		writeJSON(w, http.StatusOK, keepaliveItem(l))
	}
}

// keepaliveReaders are the keepalives of a path as MediaMTX lists readers.
func (s server) keepaliveReaders(path string) []v3Ref {
	all := []v3Ref{}
	for _, l := range s.Keepalive.List() {
		if l.Path == path && l.State != keepalive.Expired {
			all = append(all, v3Ref{Type: "keepalive", ID: l.ID})
		}
	}
	return all
}

func (s server) keepaliveStatus() KeepaliveStatus {
	st := s.Keepalive.Status()
	return KeepaliveStatus{
		Count: len(s.Keepalive.List()), File: st.File, Saved: st.Saved,
		Fault: st.Fault, Since: timeOrNil(st.Since), Loaded: st.Loaded,
	}
}

func keepaliveItem(l keepalive.Lease) v3Keepalive {
	item := v3Keepalive{
		ID: l.ID, Created: l.Created, Path: l.Path, CreatorUser: l.CreatorUser, CreatorIP: l.CreatorIP,
		State: string(l.State), Reason: l.Reason, Since: l.Since, Label: l.Label, Priority: l.Priority,
		Expires: timeOrNil(l.Expires), Owner: string(l.Owner), Name: l.Name, Saved: l.Saved,
	}
	if l.TTL > 0 {
		item.TTL = l.TTL.String()
	}
	return item
}

// keepaliveError answers with the code that belongs to an error.
func keepaliveError(w http.ResponseWriter, err error) {
	_, isDeclared := errors.AsType[*keepalive.DeclaredError](err)
	_, isInvalid := errors.AsType[*keepalive.InvalidError](err)
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, keepalive.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, keepalive.ErrNotOwner):
		code = http.StatusForbidden
	case isDeclared:
		code = http.StatusConflict
	case isInvalid, errors.Is(err, keepalive.ErrNoPath): // as MediaMTX has it for a path without configuration
		code = http.StatusBadRequest
	case errors.Is(err, keepalive.ErrTooMany), errors.Is(err, keepalive.ErrClosed):
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "10")
	}
	v3Error(w, code, err.Error())
}

// caller is who asks, for the room that keeps the leases.
func caller(r *http.Request) keepalive.Caller {
	who := auth.FromContext(r.Context())
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = "" // the unix socket
	}
	return keepalive.Caller{User: who.Name, IP: ip, Admin: who.May(auth.Admin)}
}

// ttl returns the time to live that the body asks for, 0 if it names none.
func (b keepaliveBody) ttl() (time.Duration, error) {
	errTTL := fmt.Errorf("ttl is to be %v to %v, as \"10m\" or in seconds", keepalive.MinTTL, keepalive.MaxTTL)
	var d time.Duration
	switch v := b.TTL.(type) {
	case nil:
		return 0, nil
	case float64:
		if v < keepalive.MinTTL.Seconds() || v > keepalive.MaxTTL.Seconds() {
			return 0, errTTL
		}
		d = time.Duration(v * float64(time.Second))
	case string:
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			return 0, errTTL
		}
	}
	if d < keepalive.MinTTL || d > keepalive.MaxTTL {
		return 0, errTTL
	}
	return d, nil
}

// duration reads "10s", or seconds; nothing is 0.
func duration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	return time.ParseDuration(text)
}

// plain refuses paths that a server would tidy up with a redirect: nobody means
// to call a route by another's address.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elements := strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/"), "/")
		if r.URL.Path != "/" && slices.ContainsFunc(elements, func(e string) bool { return strings.Trim(e, ".") == "" }) {
			Refuse(w, r, http.StatusBadRequest, "the path of the URL has empty, \".\" or \"..\" elements")
			return
		}
		next.ServeHTTP(w, r)
	})
}
