package rtspd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"

	"camrelay/media"
	"camrelay/media/hub"
)

// client is one control connection with what hangs on it: at most one
// subscription, one session and one viewer. The session ends with the
// connection, over UDP too, so that nothing is sent to who is gone.
//
// gortsplib calls us from the connection's goroutine or, while that one waits,
// from the session's: methods without a lock rely on it.
type client struct {
	handler *handler
	conn    *conn
	rtsp    *gortsplib.ServerConn

	userAgent string
	method    base.Method // of the request in hand
	desc      *description.Session
	mode      startMode
	setup     *setup
	lanes     []lane
	challenge challenge
	multicast bool   // wanted by the SETUP in hand
	group     *group // of the session, nil unless it is multicast

	mu      sync.Mutex // guards what follows
	asked   string     // path?query of sub
	sub     *hub.Subscription
	unwatch func() bool
	session *gortsplib.ServerSession
	viewer  *playing
	cause   error // why the connection is being closed
}

// playing is a viewer with its goroutine.
type playing struct {
	run     func(context.Context) error // until the context is done; returns why it ended
	started bool                        // guarded by the client's mu
	cancel  context.CancelCauseFunc
	done    chan struct{}
}

// subscribe gets the stream of a DESCRIBE, or of a SETUP that no DESCRIBE came
// before, and describes it. A nil response is success.
func (c *client) subscribe(req *base.Request, path, query string) *base.Response {
	q, err := url.ParseQuery(query)
	mode, ok := parseStart(q)
	if err != nil || !ok {
		return &base.Response{StatusCode: base.StatusBadRequest}
	}
	path = strings.Trim(path, "/")
	asked := path + "?" + query
	c.mu.Lock()
	have, again, session := c.sub, c.asked == asked, c.session
	c.mu.Unlock()
	switch {
	case session != nil && !again:
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}
	case have != nil && !again:
		c.leave(errReplaced)
		have = nil
	}
	if have == nil {
		if have, err = c.open(req, path, q); err != nil {
			return c.refuse(err)
		}
		c.join(have, asked)
	}
	if session == nil {
		tracks, _ := have.Stream.Tracks()
		switch {
		case len(tracks) == 0 && have.Stream.About() != nil:
			return c.refuse(errNothing)
		case len(tracks) == 0:
			return c.refuse(hub.ErrUnavailable)
		}
		c.mode = mode
		c.desc = describe(have.Stream.Name(), tracks)
		c.lanes = newLanes(tracks)
	}
	return nil
}

// refuse returns the response to an error of the Opener's.
func (c *client) refuse(err error) *base.Response {
	res := c.handler.refuse(err)
	if res.StatusCode == base.StatusUnauthorized {
		digest, basic := c.handler.server.cfg.Schemes()
		res.Header["WWW-Authenticate"] = c.challenge.ask(digest, basic, time.Now())
	}
	return res
}

func newLanes(tracks []*media.Track) []lane {
	lanes := make([]lane, len(tracks))
	for i, t := range tracks {
		lanes[i] = lane{track: t, clock: clock{rate: max(1, t.ClockRate)}}
	}
	return lanes
}

func (c *client) open(req *base.Request, path string, q url.Values) (*hub.Subscription, error) {
	r := hub.Request{
		Path: path, Query: q, Protocol: "rtsp",
		Remote: c.conn.RemoteAddr().String(), UserAgent: c.userAgent,
	}
	digest, basic := c.handler.server.cfg.Schemes()
	c.challenge.show(&r, req, digest, basic, time.Now())
	return c.handler.open(r)
}

// join makes sub the connection's own. When its context ends, so does the
// connection.
func (c *client) join(sub *hub.Subscription, asked string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sub, c.asked = sub, asked
	c.unwatch = context.AfterFunc(sub.Context, func() { c.close(context.Cause(sub.Context)) })
}

// leave ends the viewer and gives the subscription back, if there is one.
// reason is why, unless the connection is being closed for another one.
func (c *client) leave(reason error) {
	c.mu.Lock()
	sub, p, unwatch := c.sub, c.viewer, c.unwatch
	started := p != nil && p.started
	c.sub, c.viewer, c.unwatch, c.asked = nil, nil, nil, ""
	if c.cause != nil {
		reason = c.cause
	}
	c.mu.Unlock()
	if started {
		p.stop(reason)
	}
	if sub != nil {
		unwatch()
		sub.Close(reason)
	}
}

// close ends the session and closes the connection. It does not wait.
func (c *client) close(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	session := c.session
	c.mu.Unlock()
	c.conn.Close()
	if session != nil {
		session.Close()
	}
}

// begin makes a viewer that is started once the response to PLAY has left. It
// returns false if the channels that the client has chosen cannot be used.
func (c *client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.lanes, func(l lane) bool { return l.channel == 255 }) {
		return false // RTCP would need the next
	}
	if c.sub == nil { // being closed
		return true
	}
	s := c.handler.server
	p := &playing{done: make(chan struct{})}
	c.viewer = p
	if c.group != nil {
		g, m := c.group, &member{sub: c.sub, conn: c.conn}
		p.run = func(ctx context.Context) error { return g.play(ctx, m) }
		return true
	}
	sub := c.sub
	v := &viewer{
		stream: sub.Stream, name: "rtsp " + c.conn.RemoteAddr().String(), lanes: c.lanes, mode: c.mode,
		taken: func(bytes int64, _ int, lost uint64) {
			sub.Sent.Add(uint64(bytes))
			s.counts.lost.Add(int64(lost))
		},
	}
	if slices.ContainsFunc(c.lanes, func(l lane) bool { return l.began }) {
		// Resumed: what is cached begins before what the player has had.
		v.mode = startLive
	}
	if *c.session.SetuppedTransport() == gortsplib.TransportTCP {
		v.out = &tcpSender{wire: c.conn.wire}
	} else {
		v.paced = true
		v.out = newUDPSender(s.rtp, s.rtcp, func(n int) { s.counts.lost.Add(int64(n)) })
	}
	p.run = v.run
	return true
}

// start runs p unless it has been stopped meanwhile.
func (c *client) start(p *playing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.viewer != p || p.started {
		return
	}
	ctx, cancel := context.WithCancelCause(c.sub.Context)
	p.started, p.cancel = true, cancel
	counts := &c.handler.server.counts
	g := c.group
	if g != nil {
		c.handler.groups.hold(g)
	}
	c.handler.viewers.Go(func() {
		counts.readers.Add(1)
		err := p.run(ctx)
		counts.readers.Add(-1)
		c.handler.groups.leave(g)
		if errors.Is(err, errSlow) {
			counts.slow.Add(1)
		}
		close(p.done)
		if ctx.Err() == nil {
			c.close(err)
		}
		cancel(nil)
	})
}

// pause stops the viewer and keeps the subscription.
func (c *client) pause() {
	c.mu.Lock()
	p := c.viewer
	c.viewer = nil
	started := p != nil && p.started
	c.mu.Unlock()
	if started {
		p.stop(errPaused)
	}
}

// stop ends the run and waits for it. A run that is inside a write notices
// when that ends, at the latest by its deadline or the end of the connection.
func (p *playing) stop(cause error) {
	p.cancel(cause)
	<-p.done
}

// current returns the session and the viewer of the connection, either of them nil.
func (c *client) current() (*gortsplib.ServerSession, *playing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session, c.viewer
}

// wasSetUp reads the transport that was agreed on, and takes the SSRC out of it.
func (c *client) wasSetUp(res *base.Response) {
	session := c.rtsp.Session()
	var th headers.Transport
	if session == nil || th.Unmarshal(res.Header["Transport"]) != nil {
		return
	}
	medias := session.SetuppedMedias()
	track := slices.Index(c.setup.stream.Desc.Medias, medias[len(medias)-1])
	if c.group != nil {
		c.group.answer(res, track)
		return
	}
	c.route(track, &th)
	th.SSRC = nil
	res.Header["Transport"] = th.Marshal()
}

// route notes where the packets of a track go, as the response to SETUP says.
func (c *client) route(track int, th *headers.Transport) {
	l := &c.lanes[track]
	l.up = true
	if th.InterleavedIDs != nil {
		l.channel = byte(th.InterleavedIDs[0])
	}
	if th.ClientPorts != nil {
		peer := c.conn.RemoteAddr().(*net.TCPAddr)
		l.rtp = &net.UDPAddr{IP: peer.IP, Zone: peer.Zone, Port: th.ClientPorts[0]}
		l.rtcp = netip.AddrPortFrom(c.conn.peer(), uint16(th.ClientPorts[1]))
	}
}
