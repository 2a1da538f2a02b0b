package rtmp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/upstream"
)

// viewer is one player's connection.
type viewer struct {
	sender
	server *Server
	desk   *desk
	asked  chan struct{} // closed by listen once a stream is wanted
	paused atomic.Bool

	// What follows belongs to the goroutine of serve.
	sub          *hub.Subscription
	video, audio *media.Track // as in the newest units
	resting      bool         // paused at the last look
	falls        int          // how often it was overtaken
	fallsSince   time.Time
}

func newViewer(s *Server, conn *net.TCPConn) *viewer {
	v := &viewer{
		sender: sender{conn: conn, timeout: s.cfg.Timeout}, server: s,
		desk: newDesk(), asked: make(chan struct{}),
	}
	v.batch.stream = mediaStream
	return v
}

// serve talks to the player until one of the two ends it.
func (v *viewer) serve(ctx context.Context) {
	defer v.conn.Close()
	tcp := v.conn.(*net.TCPConn)
	_ = upstream.Limit(tcp, v.timeout)      // without it slow viewers only lag further behind
	_ = tcp.SetKeepAliveConfig(keepAlive()) // without it those that have gone are found later
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(errShutdown) })()
	var wg sync.WaitGroup
	wg.Go(func() { cancel(v.listen()) })
	var err error
	select {
	case <-v.asked:
		err = v.play(inner)
	case <-inner.Done():
		err = context.Cause(inner)
	}
	if p, ok := errors.AsType[*media.PanicError](err); ok {
		v.server.log.Error("a viewer's session has failed", "err", p, "stack", string(p.Stack))
	}
	v.farewell(err)
	wg.Wait()
	// What is closed with bytes unread loses what was said last.
	_, _ = io.Copy(io.Discard, io.LimitReader(v.conn, maxBurst))
}

// listen reads what the player says until the connection ends, and answers.
func (v *viewer) listen() (err error) {
	defer media.Contain(&err)
	buf := make([]byte, readSize)
	deadline := func(d time.Duration) { _ = v.conn.SetReadDeadline(time.Now().Add(d)) }
	deadline(v.timeout)
	for {
		n, err := v.conn.Read(buf)
		if err != nil {
			return v.silence(err)
		}
		greeted, asked := v.desk.hello != nil, v.desk.asked
		err = v.desk.input(buf[:n], time.Now())
		said := slow(v.say(v.desk.reply))
		v.desk.reply = v.desk.reply[:0]
		if err = errors.Join(err, said); err != nil {
			return err
		}
		v.paused.Store(v.desk.paused)
		switch {
		case v.desk.asked && !asked:
			_ = v.conn.SetReadDeadline(time.Time{})
			close(v.asked)
		case v.desk.hello != nil && !greeted:
			deadline(v.timeout)
		}
	}
}

// silence says why nothing more could be read.
func (v *viewer) silence(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case errors.Is(err, net.ErrClosed), closed(err):
		return errGone
	}
	return slow(err)
}

// slow makes errSlow of the kernel's word for it: the other call on the connection
// does not get it then.
func slow(err error) error {
	if errors.Is(stalled(err), errStalled) {
		return errSlow
	}
	return err
}

// play opens the stream that is wanted and sends it until that ends.
func (v *viewer) play(ctx context.Context) (err error) {
	sub, err := v.server.open(ctx, v.request())
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return &refusedError{err}
	}
	defer func() { sub.Close(err) }()
	defer media.Contain(&err)
	v.sub = sub
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(sub.Context, func() { cancel(context.Cause(sub.Context)) })()
	defer context.AfterFunc(ctx, func() { _ = v.conn.SetWriteDeadline(time.Now().Add(linger / 2)) })()
	err = v.send(ctx, sub.Stream)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errStalled):
		return errSlow
	case closed(err):
		return errGone
	}
	return err
}

// request is what the Opener is asked.
func (v *viewer) request() hub.Request {
	h := v.desk.hello
	name, raw := h.path(v.desk.wanted)
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	query, _ := url.ParseQuery(raw) // what cannot be read of it is left out
	req := hub.Request{
		Path: name, Query: query, Protocol: "rtmp", Remote: v.conn.RemoteAddr().String(), UserAgent: h.agent,
	}
	for _, p := range []struct {
		name string
		to   *string
	}{
		{"user", &req.User}, {"pass", &req.Password}, {"password", &req.Password}, {"token", &req.Token},
	} {
		if query.Has(p.name) {
			*p.to = query.Get(p.name)
			query.Del(p.name)
		}
	}
	return req
}

// send plays s, from the newest key frame on.
func (v *viewer) send(ctx context.Context, s *hub.Stream) error {
	units := s.Units.Reader("rtmp", hub.LastStart)
	units.Relax()
	defer units.Close()
	described, cancel := context.WithTimeout(ctx, v.timeout)
	tracks, err := s.WaitTracks(described)
	cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		return &refusedError{hub.ErrUnavailable}
	} else if err != nil {
		return ended(ctx, err)
	}
	offers := v.desk.hello.offers
	video, audio, omitted, err := choose(tracks, offers)
	if err != nil {
		return &refusedError{err}
	}
	for _, o := range omitted {
		v.sub.Notes(o.String() + ", so it is left out")
	}
	v.video, v.audio = video, audio
	said := appendEvent(nil, streamBegin)
	said = appendStatus(said, "status", "NetStream.Play.Reset", "playing "+s.Name())
	said = appendStatus(said, "status", "NetStream.Play.Start", "playing "+s.Name())
	if err := v.say(said); err != nil {
		return err
	}
	v.server.counts.viewers.Add(1)
	defer v.server.counts.viewers.Add(-1)
	return v.pour(ctx, units, flv.New(flv.Config{
		Video: video, Audio: audio, Extras: offers, Encoder: "camrelay", Bitrate: s.Meter.Stats(time.Now()).Bitrate,
	}), v)
}

// take leaves out what comes during a pause, and notices tracks that the player
// has not been told of.
func (v *viewer) take(u *media.Unit) (*media.Unit, error) {
	for _, old := range []*media.Track{v.video, v.audio} {
		if old != nil && old.ID == u.Track.ID && old.Codec != u.Track.Codec {
			return nil, errTracks
		}
	}
	if v.paused.Load() {
		v.resting = true
		return nil, nil
	}
	if v.resting {
		v.resting = u.Track.Kind != media.KindVideo && v.video != nil
		return gap(u), nil
	}
	return u, nil
}

// A viewer that is overtaken so often within that time gets more gaps than
// pictures.
const (
	maxFalls    = 10
	fallsWithin = time.Minute
)

// sent counts what has been written.
func (v *viewer) sent(bytes, _ int, lost uint64) error {
	v.sub.Sent.Add(uint64(bytes))
	if lost == 0 || v.resting {
		return nil
	}
	v.server.counts.lost.Add(int64(lost))
	if now := time.Now(); now.Sub(v.fallsSince) > fallsWithin {
		v.falls, v.fallsSince = 0, now
	}
	if v.falls++; v.falls > maxFalls {
		return errTooSlow
	}
	return nil
}

// refusedError is why a stream is not played.
type refusedError struct{ error }

func (r *refusedError) Unwrap() error { return r.error }

// refusals are the codes by which players are told, with the reason that hub has
// for viewers.
var refusals = []struct { // a table
	err        error
	code, hint string
}{
	{hub.ErrNotFound, "NetStream.Play.StreamNotFound", ""},
	{hub.ErrDenied, "NetStream.Play.Unauthorized", ": append ?user=NAME&pass=PASSWORD or ?token=TOKEN"},
	{hub.ErrForbidden, "NetStream.Play.Unauthorized", ""},
	{hub.ErrUnavailable, "NetStream.Play.Failed", "; try again later"},
	{hub.ErrEnded, "NetStream.Play.Failed", ""},
}

// status returns what the player is told, false if that says little.
func (r *refusedError) status() (code, description string, known bool) {
	for _, row := range refusals {
		if errors.Is(r, row.err) {
			return row.code, cmp.Or(hub.Reason(r), row.err.Error()) + row.hint, true
		}
	}
	if media.ClassOf(r) == media.ClassUnsupported {
		return "NetStream.Play.NoSupportedTrackFound", r.Error(), true
	}
	return "NetStream.Play.Failed", "the stream cannot be opened", false
}

// farewell ends the session as the protocol wants it and gives the player a
// moment to close the connection.
func (v *viewer) farewell(err error) {
	var said []byte
	refused, ok := errors.AsType[*refusedError](err)
	switch {
	case ok:
		code, description, known := refused.status()
		if !known {
			v.server.log.Error("cannot open stream", "err", refused.error)
		}
		said = appendStatus(said, "error", code, description)
	case errors.Is(err, errGone):
		_ = v.conn.Close()
		return
	case errors.Is(err, errSlow):
		v.server.counts.slow.Add(1)
		_ = v.conn.Close()
		return
	case errors.Is(err, errTooSlow):
		v.server.counts.slow.Add(1)
		said = appendStatus(said, "error", "NetStream.Play.InsufficientBW", errTooSlow.Error())
	case v.sub != nil && !errors.Is(err, errLeft):
		said = appendStatus(said, "status", "NetStream.Play.UnpublishNotify", "the stream has ended")
		said = appendEvent(said, streamEOF)
		said = appendStatus(said, "status", "NetStream.Play.Stop", "the stream has ended")
	}
	v.leave(said)
}
