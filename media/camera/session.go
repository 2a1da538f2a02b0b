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
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtcp"

	"camrelay/media"
	"camrelay/media/hub"
)

// epoch is the common phase of all cameras' beats: whole beats of the Unix
// clock, on the monotonic clock.
func epoch() time.Time {
	now := time.Now()
	return now.Add(-time.Duration(now.UnixNano() % int64(beat)))
}

// Run pulls the camera once: it connects, publishes to s until something ends
// it, says TEARDOWN, and returns why it ended. The error is marked with a
// class of failure and holds no secret; when ctx is done it is ctx's. active
// is called with each read that brought media.
func Run(ctx context.Context, spec Spec, splice *Splice, s *hub.Stream, active func(), log *slog.Logger) error {
	if spec.MediaTimeout == 0 {
		spec.MediaTimeout = defaultMediaTimeout
	}
	stale := false
	for redirects := 0; ; {
		x := &session{spec: spec, splice: splice, stream: s, active: active, log: log}
		err := x.run(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case x.location != "":
			if redirects++; redirects > maxRedirects {
				return media.Fail(media.ClassUnsupported, errors.New("the camera redirects in circles"))
			}
			if spec, err = spec.redirected(x.location); err != nil {
				return media.Fail(media.ClassUnsupported, err)
			}
		case x.stale && !stale:
			stale = true // a nonce has run out; this is no wrong password
		case x.noTCP && spec.Transport != TCP && !splice.udp:
			splice.udp = true
			log.Info("camera refuses TCP, trying UDP")
		case splice.udp && x.noMedia() && spec.Transport != UDP:
			splice.udp = false // next time TCP gets another chance
			return x.explain(err)
		default:
			return x.explain(err)
		}
	}
}

// session is one connection.
type session struct {
	spec     Spec
	splice   *Splice
	stream   *hub.Stream
	active   func()
	log      *slog.Logger
	target   target
	client   *gortsplib.Client
	tap      *tap
	in       *ingest
	medias   []*description.Media // by track ID
	location string               // the camera redirects to it
	stale    bool                 // the camera wants the same credentials with another nonce
	asked    bool                 // credentials were sent
	noTCP    bool                 // the camera refuses TCP
}

func (x *session) udp() bool {
	return x.spec.Transport == UDP || x.spec.Transport != TCP && x.splice.udp
}

func (x *session) noMedia() bool { return x.in == nil || x.in.last.Load() == 0 }

// run is the whole session.
func (x *session) run(ctx context.Context) (err error) {
	if x.target, err = x.spec.target(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := gortsplib.TransportTCP
	if x.udp() {
		transport = gortsplib.TransportUDP
	}
	x.client = &gortsplib.Client{
		Scheme: "rtsp", Host: x.target.host, Transport: &transport, UserAgent: "camrelay",
		ReadTimeout: 24 * time.Hour, WriteTimeout: time.Second, // the steps and the media are watched here
		UDPReadBufferSize: wantedBuffer,
		OnTransportSwitch: func(error) {}, OnPacketsLost: func(uint64) {}, OnDecodeError: func(error) {},
		OnResponse: x.response,
		DialContext: func(dctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := x.spec.dial(dctx, x.target)
			if err != nil {
				return nil, err
			}
			x.tap = newTap(conn, epoch())
			return x.tap, nil
		},
	}
	if err := x.client.Start2(); err != nil {
		return err
	}
	var closing sync.WaitGroup
	stop := context.AfterFunc(ctx, func() {
		closing.Add(1)
		defer closing.Done()
		x.client.Close()
	})
	defer func() {
		if stop() {
			x.client.Close()
		}
		closing.Wait()
		if x.in != nil {
			x.in.stop()
		}
	}()
	if err := x.connect(cancel); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return x.watch(ctx)
}

// step runs one request, at most stepTimeout long.
func step(cancel context.CancelCauseFunc, name string, do func() error) error {
	timer := time.AfterFunc(stepTimeout, func() { cancel(fmt.Errorf("no answer to %s within %v", name, stepTimeout)) })
	defer timer.Stop()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// connect brings the camera to play.
func (x *session) connect(cancel context.CancelCauseFunc) error {
	var desc *description.Session
	if err := step(cancel, "DESCRIBE", func() (err error) {
		desc, _, err = x.client.Describe(x.target.url)
		return err
	}); err != nil {
		return err
	}
	x.pin(desc)
	tracks, medias := describe(desc.Medias, x.log)
	if len(tracks) == 0 {
		return media.Fail(media.ClassUnsupported, errors.New("the camera offers no media"))
	}
	x.medias = medias
	x.in = newIngest(x.splice, x.stream, tracks, x.active, x.log)
	r := &route{in: x.in}
	for i := range r.channels {
		r.channels[i] = chunkJunk
	}
	for id, m := range medias {
		if err := step(cancel, "SETUP", func() error { return x.setup(desc.BaseURL, m, id, r) }); err != nil {
			return err
		}
	}
	x.stream.SetTracks(tracks)
	x.client.OnPacketRTCPAny(x.rtcp)
	if x.udp() {
		x.readUDP()
	} else {
		x.tap.play(r)
	}
	return step(cancel, "PLAY", func() error {
		_, err := x.client.Play(nil)
		return err
	})
}

// pin makes requests go where the camera was found, whatever host it names in
// its answers: cameras behind NAT, or with a wrong idea of themselves, name others.
func (x *session) pin(desc *description.Session) {
	if desc.BaseURL != nil {
		u := *desc.BaseURL
		u.Scheme, u.Host, u.User = x.target.url.Scheme, x.target.url.Host, x.target.url.User
		desc.BaseURL = &u
	}
}

// setup sets one track up.
func (x *session) setup(baseURL *base.URL, m *description.Media, id int, r *route) error {
	res, err := x.client.Setup(baseURL, m, 0, 0)
	if err != nil || x.udp() {
		return err
	}
	var th headers.Transport
	if err := th.Unmarshal(res.Header["Transport"]); err != nil || th.InterleavedIDs == nil {
		return errors.New("the camera names no interleaved channels")
	}
	rtp, ctl := byte(th.InterleavedIDs[0]), byte(th.InterleavedIDs[1])
	r.channels[rtp], r.channels[ctl] = chunkMedia, chunkControl
	r.tracks[rtp] = id
	return nil
}

// rtcp takes what the camera reports. gortsplib calls it.
func (x *session) rtcp(m *description.Media, p rtcp.Packet) {
	sr, ok := p.(*rtcp.SenderReport)
	if !ok {
		return
	}
	for id, known := range x.medias {
		if known == m {
			x.in.senderReport(id, ntpTime(sr.NTPTime), sr.RTPTime, time.Now())
		}
	}
}

// ntpTime converts a 64-bit NTP time stamp (RFC 5905 §6).
func ntpTime(n uint64) time.Time {
	const toUnix = 2208988800
	return time.Unix(int64(n>>32)-toUnix, int64((n&0xffffffff)*1e9>>32))
}

// errSilent ends a session in which no RTP comes; RTCP alone is no life.
var errSilent = errors.New("no media")

// watch ends the session when it has gone silent, and reports to the camera
// what arrives.
func (x *session) watch(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- x.client.Wait() }()
	defer func() {
		x.client.Close()
		<-ended
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			ended <- err
			return err
		case <-tick.C:
		}
		if x.in.silent(time.Now()) > x.spec.MediaTimeout {
			return fmt.Errorf("%w for %v", errSilent, x.spec.MediaTimeout)
		}
		if n%5 == 0 {
			x.report()
		}
	}
}

// report sends a receiver report for each track: some cameras take a client
// that never reports for dead.
func (x *session) report() {
	x.in.mu.Lock()
	type one struct {
		m  *description.Media
		rr rtcp.ReceptionReport
	}
	var all []one
	for id, l := range x.in.lanes {
		if l.begun {
			all = append(all, one{x.medias[id], rtcp.ReceptionReport{SSRC: l.ssrc, LastSequenceNumber: uint32(l.seq)}})
		}
	}
	x.in.mu.Unlock()
	for _, r := range all {
		// A connection that cannot be written to ends by itself.
		_ = x.client.WritePacketRTCP(r.m, &rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{r.rr}})
	}
}
