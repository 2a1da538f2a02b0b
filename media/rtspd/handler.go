package rtspd

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"camrelay/media/hub"
)

// handler answers what gortsplib asks.
type handler struct {
	server  *Server
	open    func(hub.Request) (*hub.Subscription, error)
	rtsp    *gortsplib.Server
	log     *slog.Logger
	viewers sync.WaitGroup // goroutines of viewers
	groups  *groups        // nil without multicast

	mu       sync.Mutex // guards what follows
	clients  map[*client]struct{}
	setups   map[string]*setup
	sessions int
}

// setup is the library's idea of a stream, needed for SETUP and without media.
type setup struct {
	stream *gortsplib.ServerStream
	key    string // empty if it is not shared
	users  int
}

func newHandler(s *Server, open func(hub.Request) (*hub.Subscription, error)) *handler {
	return &handler{
		server: s, open: open, log: s.log, groups: newGroups(s),
		clients: make(map[*client]struct{}), setups: make(map[string]*setup),
	}
}

func (h *handler) closeAll(cause error) {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.clients))
	h.mu.Unlock()
	for _, c := range all {
		c.close(cause)
	}
}

// OnConnOpen implements gortsplib.ServerHandlerOnConnOpen.
func (h *handler) OnConnOpen(ctx *gortsplib.ServerHandlerOnConnOpenCtx) {
	c := &client{handler: h, conn: ctx.Conn.NetConn().(*conn), rtsp: ctx.Conn}
	ctx.Conn.SetUserData(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c] = struct{}{}
}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	c := ctx.Conn.UserData().(*client)
	h.mu.Lock()
	delete(h.clients, c)
	h.mu.Unlock()
	c.close(c.conn.why())
	c.leave(c.conn.why())
}

// OnRequest implements gortsplib.ServerHandlerOnRequest.
func (h *handler) OnRequest(sc *gortsplib.ServerConn, req *base.Request) {
	c := sc.UserData().(*client)
	c.method = req.Method
	if ua := req.Header["User-Agent"]; len(ua) > 0 {
		c.userAgent = ua[0]
		// The library makes clients that call themselves GStreamer wait for one
		// second in each SETUP.
		delete(req.Header, "User-Agent")
	}
	c.multicast = h.groups.take(req)
	session, p := c.current()
	switch {
	case p != nil && c.group != nil:
		c.conn.idle(pausedTimeout)
	case p != nil:
	case session != nil:
		c.conn.idle(pausedTimeout)
	default:
		c.conn.idle(requestTimeout)
	}
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	c := ctx.Conn.UserData().(*client)
	if res := c.subscribe(ctx.Request, ctx.Path, ctx.Query); res != nil {
		return res, nil, nil
	}
	body, err := sdp(c.desc, ctx.Request.URL)
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
	}
	return &base.Response{StatusCode: base.StatusOK, Body: body}, nil, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	c := ctx.Conn.UserData().(*client)
	session, _ := c.current()
	switch {
	case session == ctx.Session && c.multicast != (c.group != nil):
		return &base.Response{StatusCode: base.StatusBadRequest}, nil, nil // one transport for all tracks
	case session == ctx.Session:
		return &base.Response{StatusCode: base.StatusOK}, c.setup.stream, nil
	}
	if c.conn.secure() && ctx.Transport != gortsplib.TransportTCP {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil // UDP would be in clear
	}
	if session != nil || ctx.Session.State() != gortsplib.ServerSessionStateInitial {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil, nil
	}
	if res := c.subscribe(ctx.Request, ctx.Path, ctx.Query); res != nil {
		return res, nil, nil
	}
	st, err := h.acquire(c.desc, ctx.Transport == gortsplib.TransportTCP)
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
	}
	if st == nil {
		h.server.counts.refused.Add(1)
		return &base.Response{StatusCode: base.StatusNotEnoughBandwidth}, nil, nil
	}
	if err := c.joinGroup(st.key); err != nil {
		h.release(st)
		h.log.Warn("no multicast for a viewer", "path", ctx.Path, "err", err)
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	ctx.Session.SetUserData(c)
	c.setup = st
	c.mu.Lock()
	c.session = ctx.Session
	c.mu.Unlock()
	return &base.Response{StatusCode: base.StatusOK}, st.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	c := ctx.Conn.UserData().(*client)
	session, p := c.current()
	if session != ctx.Session {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	if p == nil && !c.begin() {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil
	}
	return &base.Response{
		StatusCode: base.StatusOK,
		Header:     base.Header{"Range": base.HeaderValue{"npt=now-"}},
	}, nil
}

// OnPause implements gortsplib.ServerHandlerOnPause.
func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	c := ctx.Conn.UserData().(*client)
	if session, _ := c.current(); session != ctx.Session {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	c.pause()
	c.conn.idle(pausedTimeout)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse implements gortsplib.ServerHandlerOnResponse. It corrects what
// the library says of packets that it does not send.
func (h *handler) OnResponse(sc *gortsplib.ServerConn, res *base.Response) {
	c := sc.UserData().(*client)
	res.Header["Server"] = base.HeaderValue{"camrelay"}
	delete(res.Header, "RTP-Info") // would be made up; the first sender report says the same and is true
	if res.StatusCode != base.StatusOK {
		return
	}
	switch c.method {
	case base.Setup:
		c.wasSetUp(res)
	case base.Play:
		if _, p := c.current(); p != nil {
			if c.group == nil {
				c.conn.idle(0)
			}
			c.conn.afterResponse(func() { c.start(p) })
		}
	case base.Teardown:
		c.conn.afterResponse(func() {
			c.conn.closeWrite()
			c.conn.idle(lingerTimeout)
		})
	}
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	c, _ := ctx.Session.UserData().(*client)
	if c == nil {
		return // never set up
	}
	reason := c.conn.why()
	var torn liberrors.ErrServerSessionTornDown
	var late liberrors.ErrServerSessionTimedOut
	switch {
	case errors.As(ctx.Error, &torn):
		reason = errTeardown
	case errors.As(ctx.Error, &late):
		reason = errTimeout
	}
	c.leave(reason)
	h.groups.leave(c.group)
	h.release(c.setup)
	c.mu.Lock()
	c.session = nil
	c.mu.Unlock()
}

// refuse returns the response to an error of the Opener's, with the reason in
// the place of the standard phrase (RFC 2326 §7.1.1).
func (h *handler) refuse(err error) *base.Response {
	res := &base.Response{Header: base.Header{}}
	switch {
	case errors.Is(err, hub.ErrNotFound):
		res.StatusCode = base.StatusNotFound
	case errors.Is(err, hub.ErrDenied):
		res.StatusCode = base.StatusUnauthorized
	case errors.Is(err, hub.ErrForbidden):
		res.StatusCode = base.StatusForbidden
	case errors.Is(err, errNothing):
		res.StatusCode, res.StatusMessage = base.StatusNotAcceptable, errNothing.Error()
		return res
	case errors.Is(err, hub.ErrUnavailable), errors.Is(err, hub.ErrEnded), errors.Is(err, context.Canceled):
		res.StatusCode = base.StatusServiceUnavailable
		res.Header["Retry-After"] = base.HeaderValue{"2"}
	default:
		h.log.Error("cannot open stream", "err", err)
		res.StatusCode = base.StatusInternalServerError
	}
	res.StatusMessage = hub.Reason(err)
	return res
}

// acquire returns a setup for desc, nil if there are too many sessions. Over
// TCP sessions with equal descriptions share it. Over UDP each has its own: the
// library looks for clashing ports in the sessions of the same stream while
// they change.
func (h *handler) acquire(desc *description.Session, share bool) (*setup, error) {
	key := ""
	if share {
		text, err := desc.Marshal(false)
		if err != nil {
			return nil, err
		}
		key = string(text)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions >= h.server.cfg.MaxReaders {
		return nil, nil
	}
	st := h.setups[key]
	if !share || st == nil {
		st = &setup{stream: &gortsplib.ServerStream{Server: h.rtsp, Desc: desc}, key: key}
		if err := st.stream.Initialize(); err != nil {
			return nil, err
		}
		if share {
			h.setups[key] = st
		}
	}
	st.users++
	h.sessions++
	return st, nil
}

func (h *handler) release(st *setup) {
	h.mu.Lock()
	h.sessions--
	st.users--
	last := st.users == 0
	if last && st.key != "" {
		delete(h.setups, st.key)
	}
	h.mu.Unlock()
	if last {
		st.stream.Close()
	}
}
