package rtspd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/trust"
	"camrelay/media/upstream"
)

// PushSpec is the wanted push. It is comparable.
//
// The URL is rtsp://host[:port]/path?query or rtsps://…, with ports 554 and 322
// by default, without a user.
type PushSpec struct {
	URL      string
	Username string
	Password media.Secret
	Timeout  time.Duration // for connecting, for each answer, and without progress; 10 s if 0

	// Of rtsps:
	Insecure    bool   // take any certificate
	Fingerprint string // SHA-256 of the server's certificate in hex, colons allowed: take this one alone
	CA          string // PEM of the authorities to trust; those of the system if empty
}

// never is a time that gortsplib is not to wait for: each step has its own limit.
const never = 1000 * time.Hour

// push is one publication (RFC 2326 §10.3, §10.11) over TCP.
type push struct {
	spec    PushSpec
	url     *base.URL
	stream  *hub.Stream
	client  *gortsplib.Client
	wire    *wire // set when the client has connected
	channel byte  // that the server chose in its last answer to SETUP
	method  base.Method
	end     context.CancelCauseFunc
	lanes   []lane
}

// Push publishes the packets of s as the camera sends them until ctx is done,
// the stream ends or the session fails, and returns why; for ctx that is its
// cause. It connects once there is media to send and stays connected while the
// camera is out. Its errors carry a class and never hold the password.
func Push(ctx context.Context, spec PushSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
	spec.Timeout = cmp.Or(spec.Timeout, defaultTimeout)
	u, err := spec.parse()
	if err != nil {
		return err
	}
	if err := awaitPackets(ctx, s); err != nil {
		return err
	}
	inner, end := context.WithCancelCause(ctx)
	x := &push{spec: spec, url: u, stream: s, end: end}
	err = x.run(inner, p, log)
	end(nil)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errSlow):
		return errStalled
	}
	return err
}

// Why pushes end, besides refusals.
var (
	errStalled      = errors.New("the server does not take data")
	errServerClosed = media.EndedBy(media.ErrPeerClosed, "the server closed the connection")
)

// awaitPackets returns as soon as there is media to send.
func awaitPackets(ctx context.Context, s *hub.Stream) error {
	r := s.Packets.Reader("rtsp push", hub.LastStart)
	r.Relax()
	defer r.Close()
	_, _, err := r.Next(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return hub.ErrEnded
	}
	return err
}

func (x *push) run(ctx context.Context, p *media.Progress, log *slog.Logger) error {
	transport := gortsplib.TransportTCP
	x.client = &gortsplib.Client{
		Scheme: "rtsp", Host: x.url.Host, Transport: &transport, UserAgent: "camrelay", DisableRTCPSenderReports: true,
		ReadTimeout: never, WriteTimeout: never, WriteQueueSize: 2, // nothing is ever put into it
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return x.dial(ctx) },
		OnRequest:   func(req *base.Request) { x.method = req.Method },
		OnResponse:  x.answered,
	}
	if err := x.client.Start2(); err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		x.client.Close() // says TEARDOWN where something was announced
	})
	defer func() {
		x.end(nil)
		<-closed
	}()
	if err := x.publish(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	log.Info("publishing", "remote", x.wire.RemoteAddr().String())
	conn := x.wire.Conn
	p.MeasureRTT(func() time.Duration { return upstream.RTT(conn) })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		x.end(errGone(x.client.Wait()))
	}()
	err := x.viewer(p).run(ctx)
	if errors.Is(err, errClosed) {
		err = errServerClosed
	}
	x.end(err)
	<-gone
	return err
}

func (x *push) dial(ctx context.Context) (net.Conn, error) {
	address, peer := x.url.Host, (*trust.Peer)(nil)
	port := "554"
	if x.url.Scheme == "rtsps" {
		port = "322"
		peer = &trust.Peer{
			Host: x.hostname(), Insecure: x.spec.Insecure, Fingerprint: x.spec.Fingerprint, CA: x.spec.CA,
		}
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(x.hostname(), port)
	}
	conn, err := upstream.Dial(ctx, address, peer, x.spec.Timeout)
	if err != nil {
		return nil, err
	}
	x.wire = &wire{Conn: conn, tcp: upstream.TCP(conn), timeout: x.spec.Timeout}
	return x.wire, nil
}

// publish announces the tracks and has them recorded.
func (x *push) publish() error {
	tracks, _ := x.stream.Tracks()
	if len(tracks) == 0 {
		return unsupported(errNothing.Error())
	}
	desc := describe(x.stream.Name(), tracks)
	x.lanes = newLanes(tracks)
	err := x.step(base.Announce, func() error {
		_, err := x.client.Announce(x.url, desc)
		return err
	})
	if err != nil {
		return err
	}
	for i, m := range desc.Medias {
		if err := x.step(base.Setup, func() error { return x.setup(i, m) }); err != nil {
			return err
		}
	}
	return x.step(base.Record, func() error {
		_, err := x.client.Record()
		return err
	})
}

func (x *push) setup(i int, m *description.Media) error {
	if _, err := x.client.Setup(x.url, m, 0, 0); err != nil {
		return err
	}
	if x.channel == 255 {
		return unsupported("the server wants a channel that leaves no room for RTCP")
	}
	x.lanes[i].up, x.lanes[i].channel = true, x.channel
	return nil
}

// step carries out one request within the time it may take.
func (x *push) step(name base.Method, do func() error) error {
	timer := time.AfterFunc(2*x.spec.Timeout, func() {
		x.end(fmt.Errorf("no answer to %s for %v", name, 2*x.spec.Timeout))
	})
	defer timer.Stop()
	return x.explain(name, do())
}

// answered reads the channel that the server has chosen. It is called while
// Setup waits.
func (x *push) answered(res *base.Response) {
	if x.method != base.Setup || res.StatusCode != base.StatusOK {
		return
	}
	var th headers.Transport
	if th.Unmarshal(res.Header["Transport"]) == nil && th.InterleavedIDs != nil {
		x.channel = byte(th.InterleavedIDs[0])
	}
}

// viewer returns what sends: to a server that records as to one who watches,
// but with the stamps of the camera.
func (x *push) viewer(p *media.Progress) *viewer {
	return &viewer{
		stream: x.stream, name: "rtsp push", lanes: x.lanes, mode: startGOP, out: &tcpSender{wire: x.wire},
		taken: func(bytes int64, packets int, lost uint64) {
			if bytes > 0 {
				p.Sent(int(bytes), packets, lost)
			}
		},
	}
}
