package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"camrelay/media"
	"camrelay/media/hub"
)

// reportPeriod is how often the camera is told what arrives; some want to hear
// of it every 5 s.
const reportPeriod = 5 * time.Second

// never is a time that gortsplib is not to wait for; the steps and the media
// are watched here.
const never = 1000 * time.Hour

// session is one connection.
type session struct {
	spec   Spec
	target target
	udp    bool
	splice *Splice
	stream *hub.Stream
	active func()
	log    *slog.Logger

	end     context.CancelCauseFunc
	client  *gortsplib.Client
	tap     *tap
	route   route
	in      *ingest
	waiting sync.WaitGroup       // for the goroutine that waits for the client's end
	medias  []*description.Media // by track ID

	// What follows belongs to gortsplib's goroutine while it carries out a
	// request, else to that of Run.
	creds    credentials
	method   base.Method // of the last request
	refused  base.Method // of the last one that was not answered with 200
	id       string      // the Session header
	location string      // the camera redirects to it
	noTCP    bool        // the camera refuses TCP
	sections []section   // of the SDP
	base     *base.URL   // that control attributes are relative to
	setups   int         // tracks that are set up
}

// run is the whole session.
func (x *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x.end = cancel
	x.creds = credentials{target: x.target, splice: x.splice, log: x.log}
	transport := gortsplib.TransportTCP
	if x.udp {
		transport = gortsplib.TransportUDP
	}
	x.client = &gortsplib.Client{
		Scheme: "rtsp", Host: x.target.addr, Transport: &transport, AnyPortEnable: true, UserAgent: "camrelay",
		ReadTimeout: never, InitialUDPReadTimeout: never, WriteTimeout: writeTimeout,
		OnTransportSwitch: func(error) {}, OnPacketsLost: func(uint64) {}, OnDecodeError: func(error) {},
		OnRequest:    func(req *base.Request) { x.failed(x.request(req)) },
		OnResponse:   func(res *base.Response) { x.answered(res, x.answer(res)) },
		ListenPacket: listenPacket,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, sock, err := x.spec.dial(ctx, x.target)
			if err != nil {
				return nil, err
			}
			x.tap = newTap(conn, sock)
			return x.tap, nil
		},
	}
	if err := x.client.Start2(); err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		x.client.Close()
	})
	defer func() {
		cancel(nil)
		<-closed
		x.waiting.Wait()
		if x.in != nil {
			x.in.stop()
		}
	}()
	if err := x.connect(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return x.watch(ctx)
}

// failed ends the session with an error if there is one. It is for what
// gortsplib calls in goroutines of its own.
func (x *session) failed(err error) {
	if err != nil {
		x.end(err)
	}
}

// answered ends the session if an answer could not be put in order, and keeps
// gortsplib from acting on it.
func (x *session) answered(res *base.Response, err error) {
	if err != nil {
		*res = base.Response{StatusCode: base.StatusInternalServerError}
		x.end(err)
	}
}

// step carries out one request within stepTimeout, and repeats it with
// credentials where the camera wants them.
func (x *session) step(name base.Method, do func() error) error {
	timer := time.AfterFunc(stepTimeout, func() { x.end(fmt.Errorf("no answer to %s for %v", name, stepTimeout)) })
	defer timer.Stop()
	const most = 3
	for try := 1; ; try++ {
		err := do()
		var status liberrors.ErrClientBadStatusCode
		if !errors.As(err, &status) || status.Code != base.StatusUnauthorized || !x.creds.again || try == most {
			return err
		}
	}
}

// connect brings the camera to play.
func (x *session) connect() error {
	err := x.step(base.Describe, func() error {
		_, _, err := x.client.Describe(x.target.url)
		return err
	})
	if err != nil {
		return err
	}
	var set []offer
	for _, o := range describe(x.sections, x.log) {
		switch err := x.setup(&o); {
		case err == nil:
			o.track.ID = len(set)
			set = append(set, o)
		case o.track.Kind == media.KindVideo || x.noTCP || !refused(err):
			return err
		default:
			x.log.Warn("camera refuses a track, going on without it", "kind", o.track.Kind.String(), "err", x.explain(err))
		}
	}
	if len(set) == 0 {
		return media.Fail(media.ClassUnsupported, errors.New("the camera offers no media that can be received"))
	}
	x.in = newIngest(x.splice, x.stream, set, x.active, x.log)
	x.stream.SetTracks(x.in.tracks)
	x.route.in = x.in
	if x.udp {
		x.readUDP()
	} else {
		x.tap.play(&x.route)
	}
	err = x.step(base.Play, func() error {
		_, err := x.client.Play(nil)
		return err
	})
	x.tap.playing.Store(err == nil)
	return err
}

// refused tells whether the camera has said no, and is still there.
func refused(err error) bool {
	var status liberrors.ErrClientBadStatusCode
	if !errors.As(err, &status) {
		return false
	}
	switch status.Code {
	case base.StatusUnauthorized, base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable, base.StatusSessionNotFound:
		return false
	}
	return true
}

// setup sets one track up.
func (x *session) setup(o *offer) error {
	m := &description.Media{Type: description.MediaType(o.track.Kind.String()), Control: o.control}
	if u, err := m.URL(x.base); err != nil || u == nil {
		m.Control = "" // what is no URL was not meant to be one
	}
	if x.udp {
		m.Formats = formatsOf(o)
	}
	err := x.step(base.Setup, func() error {
		_, err := x.client.Setup(x.base, m, 0, 0)
		return err
	})
	if err != nil {
		return err
	}
	x.setups++
	x.medias = append(x.medias, m)
	return nil
}

// watch ends the session when no media comes, and reports to the camera what
// arrives. Over UDP gortsplib reports.
func (x *session) watch(ctx context.Context) error {
	ended := make(chan error, 1)
	x.waiting.Go(func() { ended <- x.client.Wait() })
	timer := time.NewTimer(reportPeriod)
	defer timer.Stop()
	var reports []byte
	for {
		now := time.Now()
		left := x.spec.MediaTimeout - x.in.silent(now)
		if left <= 0 {
			return fmt.Errorf("no media for %v", x.spec.MediaTimeout)
		}
		timer.Reset(min(left, reportPeriod))
		select {
		case <-ctx.Done():
			return context.Cause(ctx) // run waits for the client's end
		case err := <-ended:
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("the connection has ended: %w", err)
		case now = <-timer.C:
		}
		if reports = x.in.appendReceiverReports(reports[:0], &x.route.channels, now); len(reports) > 0 {
			// A connection that cannot be written to is noticed by who reads it.
			_, _ = x.tap.Write(reports)
		}
	}
}
