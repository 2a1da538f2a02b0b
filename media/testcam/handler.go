package testcam

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

// Stats is what a server saw since it was made.
type Stats struct {
	Connections int            // accepted, ever
	Open        int            // of these, open now
	Requests    map[string]int // RTSP requests by method: DESCRIBE, PLAY, TEARDOWN, …
	Sessions    []Session      // in the order of their first PLAY, the last thousand
}

// Session is one viewer that began to play.
type Session struct {
	Path     string
	UDP      bool
	Frames   uint64 // pictures sent to it, or one more
	Playing  bool
	TornDown bool // it said goodbye with TEARDOWN
}

// keptSessions bounds the account of a camera that runs for years.
const keptSessions = 1000

// counters is the account behind Stats.
type counters struct {
	mu          sync.Mutex // guards what follows
	connections int
	open        int
	requests    map[string]int
	sessions    []*session
}

type session struct {
	Session

	key    *gortsplib.ServerSession
	frames atomic.Uint64
}

// Stats returns what the server saw so far.
func (s *Server) Stats() Stats {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	st := Stats{Connections: c.connections, Open: c.open, Requests: maps.Clone(c.requests)}
	for _, e := range c.sessions {
		v := e.Session
		v.Frames = e.frames.Load()
		st.Sessions = append(st.Sessions, v)
	}
	return st
}

// find returns the account of a session, nil if it never played.
func (c *counters) find(ss *gortsplib.ServerSession) *session {
	i := slices.IndexFunc(c.sessions, func(e *session) bool { return e.key == ss })
	if i < 0 {
		return nil
	}
	return c.sessions[i]
}

// handler answers the library's server; its goroutines are the library's.
type handler struct{ s *Server }

// OnConnOpen counts a connection.
func (h *handler) OnConnOpen(*gortsplib.ServerHandlerOnConnOpenCtx) {
	c := &h.s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connections++
	c.open++
}

// OnConnClose counts it out.
func (h *handler) OnConnClose(*gortsplib.ServerHandlerOnConnCloseCtx) {
	c := &h.s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// OnRequest counts a request and notes which session a TEARDOWN ends.
func (h *handler) OnRequest(conn *gortsplib.ServerConn, req *base.Request) {
	c := &h.s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == nil {
		c.requests = make(map[string]int)
	}
	c.requests[string(req.Method)]++
	if req.Method != base.Teardown {
		return
	}
	if e := c.find(conn.Session()); e != nil {
		e.TornDown = true
	}
}

// allow asks for credentials where the server wants them.
func (h *handler) allow(conn *gortsplib.ServerConn, req *base.Request) bool {
	cfg := &h.s.cfg
	return cfg.Auth == AuthNone || conn.VerifyCredentials(req, cfg.User, cfg.Password.Reveal())
}

// open finds the stream of a path, or the answer that there is none.
func (h *handler) open(conn *gortsplib.ServerConn, req *base.Request, path string) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	if !h.allow(conn, req) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	st, ok := h.s.streams[strings.Trim(path, "/")]
	if !ok {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, st.out, nil
}

// OnDescribe answers with the SDP.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	return h.open(ctx.Conn, ctx.Request, ctx.Path)
}

// OnSetup prepares a track.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	return h.open(ctx.Conn, ctx.Request, ctx.Path)
}

// OnPlay starts a viewer.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	st, ok := h.s.streams[strings.Trim(ctx.Path, "/")]
	if !ok {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	c := &h.s.counters
	c.mu.Lock()
	e := c.find(ctx.Session)
	if e == nil {
		udp := *ctx.Session.SetuppedTransport() == gortsplib.TransportUDP
		e = &session{key: ctx.Session, Session: Session{Path: st.cam.Path, UDP: udp}}
		c.sessions = append(c.sessions[max(0, len(c.sessions)-keptSessions+1):], e)
	}
	e.Playing = true
	c.mu.Unlock()
	st.join(ctx.Session, &e.frames)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnPause holds a viewer.
func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	h.leave(ctx.Session)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose forgets a viewer, not its account.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) { h.leave(ctx.Session) }

func (h *handler) leave(ss *gortsplib.ServerSession) {
	for _, st := range h.s.streams {
		st.leave(ss)
	}
	c := &h.s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.find(ss); e != nil {
		e.Playing = false
	}
}

// OnStreamWriteError notes that a viewer does not keep up: it loses packets.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	h.s.log.Debug("viewer does not keep up", "cam", ctx.Session.SetuppedPath(), "err", ctx.Error)
}
