package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
)

// anonymous is who acts through the API without a name.
const anonymous = "api"

// actor is the name under which a request's deeds are remembered.
func actor(r *http.Request) string {
	if name := auth.FromContext(r.Context()).Name; name != "" {
		return name
	}
	return anonymous
}

// sessionList is a page of sessions. Opened and closed count since the start.
type sessionList[T any] struct {
	list[T]
	Opened uint64 `json:"opened"`
	Closed uint64 `json:"closed"`
}

// list is a page of a list under /v1.
type list[T any] struct {
	ItemCount int `json:"item_count"`
	PageCount int `json:"page_count"`
	Items     []T `json:"items"`
}

// listOf cuts the page asked for out of all.
func listOf[T any](all []T, q url.Values) (list[T], error) {
	v := url.Values{}
	for from, to := range map[string]string{"page": "page", "items_per_page": "itemsPerPage"} {
		if q.Has(from) {
			v[to] = q[from]
		}
	}
	p, ok := paginate(all, v)
	if !ok {
		return list[T]{}, errors.New("invalid items_per_page or page")
	}
	return list[T](p), nil
}

// sessionParameters are those that sessions are filtered by.
var sessionParameters = []string{"id", "path", "kind", "protocol", "status", "published"}

// endedParameters are those that sessions are filtered by which have ended.
var endedParameters = []string{"id", "path", "kind", "protocol"}

// sessionFilter reads the filter of a list of sessions.
func sessionFilter(q url.Values) (session.Filter, error) {
	var f session.Filter
	for key, dst := range map[string]**string{
		"id": &f.ID, "path": &f.Name, "protocol": &f.Protocol, "status": &f.Status,
	} {
		if q.Has(key) {
			*dst = new(q.Get(key))
		}
	}
	if q.Has("kind") {
		f.Kind = new(session.Kind(q.Get("kind")))
	}
	if q.Has("published") {
		b, err := strconv.ParseBool(q.Get("published"))
		if err != nil {
			return f, errors.New("published is to be true or false")
		}
		f.Published = &b
	}
	return f, f.Check()
}

// sessionsList lists the open sessions of all kinds, oldest first.
func (s server) sessionsList(w http.ResponseWriter, r *http.Request) {
	f, err := sessionFilter(r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	rows, now, who := []session.Stat{}, time.Now(), auth.FromContext(r.Context())
	opened, closed := s.Sessions.Totals()
	found, _ := s.Sessions.Find(f)
	for _, one := range found {
		if who.MayView(one.Path) {
			rows = append(rows, one.Stat(now))
		}
	}
	page, err := listOf(rows, r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, sessionList[session.Stat]{page, opened, closed})
}

// sessionsEnded lists the sessions that ended last, newest first.
func (s server) sessionsEnded(w http.ResponseWriter, r *http.Request) {
	q, who := r.URL.Query(), auth.FromContext(r.Context())
	opened, closed := s.Sessions.Totals()
	rows := slices.DeleteFunc(s.Sessions.Ended(), func(e session.Ended) bool {
		return !who.MayView(e.Path) ||
			q.Has("id") && !strings.EqualFold(e.ID, q.Get("id")) ||
			q.Has("path") && e.Path != q.Get("path") ||
			q.Has("kind") && string(e.Kind) != q.Get("kind") ||
			q.Has("protocol") && !strings.EqualFold(e.Protocol, q.Get("protocol"))
	})
	page, err := listOf(rows, q)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, sessionList[session.Ended]{page, opened, closed})
}
