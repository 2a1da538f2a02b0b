package hls

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// maxSessions bounds the memory that strangers can make us hold.
const maxSessions = 4096

// minQuiet is the least time without a request after which a session ends:
// players that are slow to poll are still watching.
const minQuiet = 6 * time.Second

// session is a viewer: whoever shows the same address, player, credentials and
// query for the same stream. HLS has no other notion of one.
type session struct {
	opened chan struct{} // closed when sub or err is set
	sub    *hub.Subscription
	err    error
	stop   func() bool // of the watch on the subscription's context

	// guarded by Server.mu
	active int // requests under way
	last   time.Time
	quiet  time.Duration
	ended  bool
}

type sessionKey struct {
	name string
	sum  [sha256.Size]byte
}

// visit is what a request tells about its viewer.
type visit struct {
	req    hub.Request
	suffix string // the query, to be repeated in playlists so that their requests show it too
}

// newVisit reads a request for the stream of that name. The credentials are
// part of the key: nobody gets in on the session of a neighbour behind the same
// address.
func newVisit(r *http.Request, name string) (visit, sessionKey) {
	query := r.URL.Query()
	for k := range query {
		if strings.HasPrefix(k, "_HLS_") { // directives of delivery (rfc8216bis §6.2.5)
			delete(query, k)
		}
	}
	v := visit{req: hub.Request{
		Path: name, Query: query, Protocol: "hls", Remote: r.RemoteAddr, UserAgent: r.UserAgent(),
	}}
	v.req.User, v.req.Password, _ = r.BasicAuth()
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		v.req.Token = token
	}
	if q := query.Encode(); q != "" {
		v.suffix = "?" + q
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	h := sha256.New()
	for _, f := range []string{host, r.UserAgent(), r.Header.Get("Authorization"), v.suffix} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f)))) //nolint:errcheck // it never fails
		h.Write([]byte(f))                                          //nolint:errcheck // it never fails
	}
	return v, sessionKey{name, [sha256.Size]byte(h.Sum(nil))}
}

// enter returns the session of the viewer, opened if there is none. The caller
// calls leave after the request.
func (s *Server) enter(ctx context.Context, v visit, key sessionKey) (*session, error) {
	for {
		ss, first, err := s.find(key)
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
		if ss.err == nil {
			return ss, nil
		}
		s.leave(ss)
		if !errors.Is(ss.err, context.Canceled) {
			return nil, ss.err
		}
		// The request that was to open it went away; this one is still here.
	}
}

// find returns the session with that key and counts the request in it. first
// tells that it is new and the caller's to admit.
func (s *Server) find(key sessionKey) (ss *session, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serving {
		return nil, false, fmt.Errorf("%w: the server is not running", hub.ErrUnavailable)
	}
	ss = s.sessions[key]
	if ss == nil {
		if len(s.sessions) >= maxSessions {
			return nil, false, fmt.Errorf("%w: too many viewers", hub.ErrUnavailable)
		}
		ss = &session{opened: make(chan struct{}), quiet: minQuiet}
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
		close(ss.opened)
		return err
	}
	s.mu.Lock()
	ss.sub = sub
	ss.stop = context.AfterFunc(sub.Context, func() { s.end(key, ss, context.Cause(sub.Context)) })
	serving := s.serving
	s.mu.Unlock()
	close(ss.opened)
	if !serving {
		s.end(key, ss, hub.ErrEnded)
		return fmt.Errorf("%w: the server is stopping", hub.ErrUnavailable)
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

// pace tells how long the session may be quiet: one and a half target durations.
func (s *Server) pace(ss *session, target time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss.quiet = max(minQuiet, target*3/2)
}

// end closes a session, unless it has ended already.
func (s *Server) end(key sessionKey, ss *session, reason error) {
	s.mu.Lock()
	was := ss.ended
	ss.ended = true
	if s.sessions[key] == ss {
		delete(s.sessions, key)
	}
	s.mu.Unlock()
	if was {
		return
	}
	ss.stop()
	ss.sub.Close(reason)
}

// endAll closes all sessions that are open.
func (s *Server) endAll(reason error) {
	s.endIf(func(*session) error { return reason })
}

var errQuiet = media.EndedBy(media.ErrPeerClosed, "no request for one and a half target durations")

// sweep ends what nobody uses and tells whether there is anything left to be
// swept.
func (s *Server) sweep(now time.Time) bool {
	s.endIf(func(ss *session) error {
		switch {
		case ss.sub.Stream.Closed():
			return hub.ErrEnded
		case ss.active == 0 && now.Sub(ss.last) > ss.quiet:
			return errQuiet
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	left := len(s.sessions) > 0
	for k := range s.sessions {
		if p := s.running[k.name]; p != nil {
			p.last = now
		}
	}
	for _, p := range s.running {
		if !p.auto {
			continue
		}
		left = true
		if now.Sub(p.last) > s.cfg.Linger {
			p.cancel()
		}
	}
	return left
}

// endIf closes the open sessions for which f gives a reason. f is called with
// mu held.
func (s *Server) endIf(f func(*session) error) {
	type leaving struct {
		key    sessionKey
		ss     *session
		reason error
	}
	var all []leaving
	s.mu.Lock()
	for k, ss := range s.sessions {
		select {
		case <-ss.opened:
			if reason := f(ss); reason != nil {
				all = append(all, leaving{k, ss, reason})
			}
		default: // its request opens it yet
		}
	}
	s.mu.Unlock()
	for _, l := range all {
		s.end(l.key, l.ss, l.reason)
	}
}

// maxQuery bounds the query that is repeated in playlists.
const maxQuery = 1024

// tooLong tells whether a query would blow playlists up.
func tooLong(u *url.URL) bool { return len(u.RawQuery) > maxQuery }
