package hls

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/accept"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// Bounds of the memory that strangers can make us hold, and of what those behind
// one address can.
const (
	maxSessions     = 4096
	maxSessionsFrom = 512
)

// session is a viewer: whoever shows the same address, player, credentials and
// query for the same stream. HLS has no other notion of one. Players that show
// all the same are told apart by the query: each multivariant playlist gives
// out a value of its own, which the playlists below repeat. One who begins with
// a media playlist goes without.
type session struct {
	opened chan struct{} // closed when sub or err is set
	gone   chan struct{} // closed when it has ended
	sub    *hub.Subscription
	err    error
	stop   func() bool // of the watch on the subscription's context
	exit   func()      // gives its place back
	from   netip.Addr
	alone  bool // no other player shows the same

	// guarded by Server.mu
	active int           // requests under way
	held   int           // those that are held until there is what they ask for
	last   time.Time     // when the last request came or went
	quiet  time.Duration // how long it lasts without a request
	ended  bool
	reason error // to end as soon as it is open; nil: it is not
}

// sessionParameter is the query that tells players apart.
const sessionParameter = "session"

type sessionKey struct {
	product
	sum [sha256.Size]byte
}

// visit is what a request tells about its viewer.
type visit struct {
	req   hub.Request
	name  string            // the stream that the viewer looks at
	file  string            //
	form  form              // in which it looks at it
	via   string            // the stream whose ladder it is on
	query string            // to be repeated in playlists so that their requests show it too
	sum   [sha256.Size]byte // of what tells viewers apart
	fresh bool              // the player learns from the answer which session it is
	alone bool              // no other player shows the same
}

// newVisit reads a request for a file of the stream of that name. The
// credentials are part of the key: nobody gets in on the session of a neighbour
// behind the same address.
func (s *Server) newVisit(r *http.Request, name, file string) (visit, sessionKey) {
	form, _ := formOf(file)
	if file == tsPlaylist {
		form = transport
	}
	v := s.visitOf(r, product{name, form}, "hls", file == multivariantName)
	v.file = file
	return v, v.key()
}

// visitOf reads a request for something of a stream. first tells that a player
// begins with it, and may learn from it which session it is.
func (s *Server) visitOf(r *http.Request, of product, protocol string, first bool) visit {
	query, name := r.URL.Query(), of.name
	v := visit{
		req:  httpdoor.Ask(r, name, protocol),
		name: name, via: name, form: of.form,
		fresh: first && !query.Has(sessionParameter),
		alone: first || query.Has(sessionParameter),
	}
	if via := query.Get(ladderParameter); !first && v.form == fragmented && slices.Contains(s.ladder(via), name) {
		v.via = via
		if s.packaged(name) != nil {
			v.req.Path = via
		}
	}
	delete(query, ladderParameter)
	for k := range query {
		if strings.HasPrefix(k, "_HLS_") { // directives of delivery (rfc8216bis §6.2.5)
			delete(query, k)
		}
	}
	if v.fresh {
		query.Set(sessionParameter, rand.Text())
	}
	if q := query.Encode(); q != "" {
		v.query = "?" + q
	}
	delete(query, sessionParameter) // ours, not the Opener's
	v.req.Query = query
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	h := sha256.New()
	for _, f := range []string{protocol, host, r.UserAgent(), r.Header.Get("Authorization"), v.query} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f)))) // it never fails
		h.Write([]byte(f))                                          // it never fails
	}
	h.Sum(v.sum[:0])
	return v
}

func (v *visit) key() sessionKey { return sessionKey{product{v.req.Path, v.form}, v.sum} }

// suffix returns the query that URIs of the stream of that name carry.
func (v *visit) suffix(name string) string {
	switch {
	case name == v.via:
		return v.query
	case v.query == "":
		return "?" + ladderParameter + "=" + url.QueryEscape(v.via)
	default:
		return v.query + "&" + ladderParameter + "=" + url.QueryEscape(v.via)
	}
}

// enter returns the session of the viewer, opened if there is none. The caller
// calls leave after the request.
func (s *Server) enter(ctx context.Context, v visit, key sessionKey) (*session, error) {
	for {
		ss, first, err := s.find(v, key)
		if err != nil {
			return nil, err
		}
		if first {
			err := s.admit(ctx, ss, v, key)
			return ss, err
		}
		select {
		case <-ss.opened:
		case <-ctx.Done():
			s.leave(ss)
			return nil, fmt.Errorf("%w: %w", hub.ErrUnavailable, ctx.Err())
		}
		if ss.err == nil && !s.over(ss, key) {
			return ss, nil
		}
		s.leave(ss)
		if ss.err != nil && !errors.Is(ss.err, context.Canceled) {
			return nil, ss.err
		}
		// The request that was to open it went away, or the session has ended
		// meanwhile; this request is still here.
	}
}

// over tells whether an open session has ended, by the end of its stream at
// the latest: there may be another stream of that name.
func (s *Server) over(ss *session, key sessionKey) bool {
	if ss.sub.Stream.Closed() {
		s.end(key, ss, hub.ErrEnded)
	}
	select {
	case <-ss.gone:
		return true
	default:
		return false
	}
}

// find returns the session with that key and counts the request in it. first
// tells that it is new and the caller's to admit.
func (s *Server) find(v visit, key sessionKey) (ss *session, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serving {
		return nil, false, fmt.Errorf("%w: the server is not running", hub.ErrUnavailable)
	}
	ss = s.sessions[key]
	if ss == nil {
		if time.Now().Before(s.away[key]) {
			return nil, false, errSentAway
		}
		from := accept.AddrOf(v.req.Remote)
		exit, err := s.places.Take(from)
		if err != nil {
			return nil, false, err
		}
		ss = &session{
			opened: make(chan struct{}), gone: make(chan struct{}), exit: exit, quiet: quietFor(s.cfg.Segment),
			from: from, alone: v.alone,
		}
		s.sessions[key] = ss
		first = true
	}
	ss.active++
	ss.last = time.Now()
	return ss, first, nil
}

// admit opens a new session.
func (s *Server) admit(ctx context.Context, ss *session, v visit, key sessionKey) error {
	sub, err := s.opener(ctx, v.req)
	if err == nil && ctx.Err() != nil { // it took until after the viewer had left
		sub.Close(ctx.Err())
		err = ctx.Err()
	}
	if err != nil {
		s.mu.Lock()
		delete(s.sessions, key)
		ss.err, ss.ended = err, true
		s.mu.Unlock()
		ss.exit()
		close(ss.opened)
		return err
	}
	s.mu.Lock()
	ss.sub = sub
	ss.stop = context.AfterFunc(sub.Context, func() { s.sendAway(key, ss, context.Cause(sub.Context)) })
	reason := ss.reason
	s.mu.Unlock()
	close(ss.opened)
	if reason != nil {
		s.end(key, ss, reason)
		return fmt.Errorf("%w: %w", hub.ErrUnavailable, reason)
	}
	s.wake()
	return nil
}

func (s *Server) leave(ss *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss.active--
	ss.last = time.Now()
}

// quietFor returns how long a player of that target duration may ask for
// nothing before it is gone: it loads the playlist once in that duration (RFC
// 8216 §6.3.4) and may be late.
func quietFor(target time.Duration) time.Duration { return target * 3 / 2 }

// pace tells of what target duration the session's player knows.
func (s *Server) pace(ss *session, target time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := quietFor(target); ss.quiet != q {
		ss.quiet = q
		s.wake()
	}
}

// end closes a session, unless it has ended already.
func (s *Server) end(key sessionKey, ss *session, reason error) {
	s.mu.Lock()
	was := ss.ended
	ss.ended = true
	if s.sessions[key] == ss {
		delete(s.sessions, key)
	}
	if p := s.running[key.product]; p != nil && !was && p.stream == ss.sub.Stream {
		p.last = time.Now()
	}
	s.mu.Unlock()
	if was {
		return
	}
	ss.exit()
	close(ss.gone)
	s.wake()
	ss.stop()
	ss.sub.Close(reason)
}

// awayFor is how long a player that was sent away is answered so: it must not
// go on by its next request as if nothing had been. Who opens the multivariant
// playlist anew has another session, and the Opener decides.
const awayFor = 30 * time.Second

// errSentAway is what such a player is told.
var errSentAway = errors.New("the session was ended: load the multivariant playlist anew")

// sendAway ends a session that somebody else wants to end.
func (s *Server) sendAway(key sessionKey, ss *session, reason error) {
	if !ss.sub.Stream.Closed() {
		s.mu.Lock()
		s.away[key] = time.Now().Add(awayFor)
		s.mu.Unlock()
	}
	s.end(key, ss, reason)
}

// endAll closes all sessions that are open.
func (s *Server) endAll(reason error) {
	s.endIf(func(sessionKey, *session) error { return reason })
}

var errQuiet = media.EndedBy(media.ErrPeerClosed, "no request for one and a half target durations")

// sweep ends what nobody uses, and returns when there may be more of it: zero
// if not before wake is called.
func (s *Server) sweep(now time.Time) (next time.Time) {
	s.endIf(func(_ sessionKey, ss *session) error {
		switch {
		case ss.sub == nil: // its request opens it yet
		case ss.sub.Stream.Closed():
			return hub.ErrEnded
		case ss.active == 0 && !now.Before(ss.last.Add(ss.quiet)):
			return errQuiet
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	maps.DeleteFunc(s.away, func(_ sessionKey, until time.Time) bool { return !now.Before(until) })
	for _, until := range s.away {
		soonest(until)
	}
	type watch struct {
		stream *hub.Stream
		form   form
	}
	watched := make(map[watch]bool)
	for k, ss := range s.sessions {
		switch {
		case ss.sub == nil:
			continue
		case ss.active > 0: // it cannot have been quiet for long enough before then
			soonest(now.Add(ss.quiet))
		default:
			soonest(ss.last.Add(ss.quiet))
		}
		watched[watch{ss.sub.Stream, k.form}] = true
	}
	for of, p := range s.running {
		switch gone := p.last.Add(s.cfg.Linger); {
		case !p.auto || watched[watch{p.stream, of.form}]:
		case now.Before(gone):
			soonest(gone)
		default:
			p.cancel()
		}
	}
	return next
}

// endIf closes the sessions for which f gives a reason, those that are being
// opened as soon as they are. f is called with mu held.
func (s *Server) endIf(f func(sessionKey, *session) error) {
	type leaving struct {
		key    sessionKey
		ss     *session
		reason error
	}
	var all []leaving
	s.mu.Lock()
	for k, ss := range s.sessions {
		switch reason := f(k, ss); {
		case reason == nil:
		case ss.sub == nil:
			ss.reason = reason
		default:
			all = append(all, leaving{k, ss, reason})
		}
	}
	s.mu.Unlock()
	for _, l := range all {
		s.end(l.key, l.ss, l.reason)
	}
}
