package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/web"
	mem "camrelay/hal/memory"
	"camrelay/media/audio"
	"camrelay/media/dash"
	"camrelay/media/hls"
	"camrelay/media/httpdoor"
	"camrelay/media/httplive"
	"camrelay/media/hub"
	"camrelay/media/rtmp"
	"camrelay/media/rtspd"
	"camrelay/media/srt"
	"camrelay/media/still"
)

// subscribe is the relay's door with the switches of each camera's outputs. To
// those who are not known by name one that is off looks like a camera that is not
// there.
func (s *servers) subscribe(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	if !s.serves(req.Path, req.Protocol) {
		return nil, s.d.relay.Withhold(ctx, req, switchedOff(s.d.current.Load(), req.Path, req.Protocol))
	}
	if s.d.box.short() >= mem.Scarce {
		return nil, hub.Refuse(hub.ErrUnavailable, "the box is short of memory")
	}
	sub, err := s.d.relay.Subscribe(ctx, req)
	if err == nil {
		s.sound(sub, req)
	}
	if err == nil && !s.serves(req.Path, req.Protocol) { // switched off meanwhile
		sub.Close(errSwitchedOff)
		return nil, s.d.relay.Withhold(ctx, req, switchedOff(s.d.current.Load(), req.Path, req.Protocol))
	}
	return sub, err
}

// sound gives a viewer the sound that its protocol can carry.
func (s *servers) sound(sub *hub.Subscription, req hub.Request) {
	mode, container := carried(req.Protocol, s.audioOf(req.Path))
	if container == "" {
		return
	}
	view, release := heard(sub.Stream, mode)
	end := sub.Close
	sub.Stream, sub.Close = view, func(reason error) {
		end(reason)
		release()
	}
	sub.Notes(soundless(audio.StateOf(view), container))
}

// audioOf returns what is to become of a camera's sound.
func (s *servers) audioOf(camera string) config.Audio {
	if policy, ok := (*s.audio.Load())[camera]; ok {
		return policy
	}
	return config.AudioAuto
}

// heard returns the view of a stream in that mode, and the stream itself where a
// view would only copy.
func heard(stream *hub.Stream, mode audio.Mode) (view *hub.Stream, release func()) {
	if tracks, _ := stream.Tracks(); suits(tracks, mode) {
		return stream, func() {}
	}
	return audio.View(stream, mode)
}

// packaged returns a stream with the sound that segments can carry.
func (s *servers) packaged(stream *hub.Stream) (view *hub.Stream, release func()) {
	return heard(stream, audio.Mode{Policy: audio.Policy(s.audioOf(stream.Name())), Opus: true})
}

// serves tells whether a camera may be watched by a protocol. Those added at
// run time have no switches.
func (s *servers) serves(camera, protocol string) bool {
	o, ok := (*s.outputs.Load())[camera]
	return !ok || o.Serves(protocol)
}

// errSwitchedOff is why viewers leave whose protocol is switched off.
var errSwitchedOff = fmt.Errorf("this output of the camera is switched off: %w", hub.ErrEnded)

// applyOutputs makes the switches equal those of the plan and sends away who
// watches what is off now.
func (s *servers) applyOutputs(outputs map[string]config.Outputs) {
	s.outputs.Store(&outputs)
	for _, v := range s.d.sessions.List() {
		if v.Kind == session.Viewer && !s.serves(v.Path, strings.ToLower(v.Protocol)) {
			v.Kick("config", errSwitchedOff.Error())
		}
	}
}

func (s *servers) openRTSP(spec config.RTSP) (runner, error) {
	return s.listenRTSP("rtsp", rtspd.Config{
		Listen: spec.Listen, MaxConns: spec.MaxConnections, MaxConnsFrom: spec.MaxPerAddress,
		Schemes:   s.d.access.Schemes,
		Multicast: rtspd.Multicast(spec.Multicast),
	})
}

func (s *servers) openRTSPS(spec config.RTSP) (runner, error) {
	return s.listenRTSP("rtsps", rtspd.Config{
		Listen: spec.TLS.Listen, RTPPort: -1, TLS: s.rtspCert.config(),
		MaxConns: spec.MaxConnections, MaxConnsFrom: spec.MaxPerAddress, Schemes: s.d.access.Schemes,
	})
}

func (s *servers) listenRTSP(name string, cfg rtspd.Config) (runner, error) {
	cfg.Bind = s.d.sockets.Listen
	srv := rtspd.New(cfg, s.subscribe, s.log)
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	s.bound(name, srv.Addr().String())
	return srv, nil
}

func (s *servers) openHTTP(spec config.HTTP) (runner, error) {
	return s.listenWeb("http", spec.Listen, spec.Listener, nil)
}

func (s *servers) openHTTPS(spec config.HTTP) (runner, error) {
	return s.listenWeb("https", spec.TLS.Listen, spec.Listener, s.httpCert.config("h2", "http/1.1"))
}

func (s *servers) openRTMP(l config.Listener) (runner, error) {
	srv := rtmp.New(rtmp.Config{
		Listen: l.Listen, MaxConns: l.MaxConnections, MaxConnsFrom: l.MaxPerAddress,
		Bind: s.d.sockets.Listen,
	}, s.subscribe, s.log)
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	s.bound("rtmp", srv.Addr().String())
	return srv, nil
}

func (s *servers) openSRT(c config.SRT) (runner, error) {
	srv := srt.New(srt.Config{
		Listen: c.Listen, Passphrase: c.Passphrase, PBKeyLen: c.PBKeyLen, Latency: c.Latency,
		MaxConns: c.MaxConnections, MaxConnsFrom: c.MaxPerAddress, Refused: s.d.relay.Refused,
	}, s.subscribe, s.log)
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	s.bound("srt", srv.Addr().String())
	return srv, nil
}

// listenWeb binds a viewers' port.
func (s *servers) listenWeb(name, addr string, l config.Listener, own *tls.Config) (runner, error) {
	srv, err := listenHTTP(s.d.sockets.Listen, addr, "", viewerLimits(l), linked(s.d.access, s.web), s.log)
	if err != nil {
		return nil, err
	}
	srv.secure(own)
	s.bound(name, srv.listeners[0].Addr().String())
	return srv, nil
}

// certificate is what a server shows of itself. It may be replaced while the
// server runs: connections that are there stay.
type certificate struct {
	now atomic.Pointer[tls.Certificate]
	own func() (*tls.Certificate, error) // what it comes from; nil: from the configuration
}

// set takes the certificate and its key from the configuration, if TLS is on, or
// the box's own if the configuration has none.
func (c *certificate) set(t config.ServerTLS, own func() (*tls.Certificate, error)) error {
	if t.Listen == "" {
		return nil
	}
	if t.Cert == "" {
		c.own = own
		return c.take()
	}
	pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key.Reveal()))
	if err != nil {
		return fmt.Errorf("the certificate and its key cannot be used: %w", err)
	}
	c.own = nil
	c.now.Store(&pair)
	return nil
}

// take takes the box's own certificate.
func (c *certificate) take() error {
	pair, err := c.own()
	if err == nil {
		c.now.Store(pair)
	}
	return err
}

// renew replaces a certificate of the box's own that ends soon.
func (c *certificate) renew() error {
	if now := c.now.Load(); c.own == nil || now != nil && time.Until(now.Leaf.NotAfter) > boxRenew {
		return nil
	}
	return c.take()
}

// config is that of a server which speaks the protocols.
func (c *certificate) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetCertificate:              func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
		DynamicRecordSizingDisabled: true, // small records mean many writes
	}
}

// viewersHandler serves the page and its assets at / and /-/, and all else by
// the last element of the path. All listeners share it, and so its limits.
func (s *servers) viewersHandler() http.Handler {
	page := web.Handler(s.webCameras)
	live := httplive.New(httplive.Config{}, s.subscribe, s.log)
	manifests := dash.New(dash.Config{}, dashSource{s}, s.log)
	images := still.New(still.Config{
		Source: func(name string) still.Source { return (*s.jpegs.Load())[name] }, Claim: s.claimImages,
	}, s.subscribe, s.log)
	segments := s.d.metrics.HLS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if srv := s.running.Load(); srv != nil {
			srv.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, hub.ErrNotFound.Error(), http.StatusNotFound) // as where there is HLS
	}))
	mux := http.NewServeMux()
	mux.Handle("/{$}", page)
	mux.Handle("/-/", page)
	mux.Handle("/favicon.ico", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch file := path.Base(r.URL.Path); {
		case file == "mpegts" || path.Ext(file) == ".flv":
			live.ServeHTTP(w, r)
			return
		case dash.Serves(file):
			manifests.ServeHTTP(w, r)
			return
		case file == "keyframe.mp4" || file == "snapshot.jpg":
			images.ServeHTTP(w, r)
			return
		}
		if !hls.Serves(r.URL.Path) {
			httpdoor.Unknown(w, noSuchFile)
			return
		}
		segments.ServeHTTP(w, r)
	})
	return mux
}

// noSuchFile is the same for all names: it says nothing of any camera.
const noSuchFile = "no such file: of a camera NAME there are /NAME/index.m3u8, /NAME/hls.m3u8, /NAME/ts.m3u8, " +
	"/NAME/manifest.mpd, /NAME/mpegts, /NAME.flv, /NAME/keyframe.mp4 and /NAME/snapshot.jpg"

// claimImages holds a stream for the JPEG in it until release is called.
func (s *servers) claimImages(ctx context.Context, name string) (st *hub.Stream, release func(), err error) {
	p := s.d.relay.Path(name)
	if p == nil {
		return nil, nil, hub.ErrNotFound
	}
	release = p.Claim(relay.Claim{Kind: relay.ClaimViewer, By: "snapshot", Starts: true, Holds: true})
	if _, err := p.Stream().WaitTracks(ctx); err != nil {
		release()
		return nil, nil, err
	}
	return p.Stream(), release, nil
}

// jpegOf is where the camera's own JPEG comes from, pure.
func jpegOf(name string, all map[string]config.Camera) still.Source {
	c, sub := all[name], ""
	for other, s := range all {
		if s.SubOf == name {
			sub = other
		}
	}
	return still.Source{
		MJPEG: sub,
		URL:   c.SnapshotURL, Username: c.Username, Password: c.Password,
		Insecure: c.TLS.Insecure, CA: c.TLS.CA, Fingerprint: c.TLS.Fingerprint,
	}
}

// webCameras lists the cameras for the page.
func (s *servers) webCameras(req hub.Request) ([]web.Camera, error) {
	paths, err := s.d.relay.Viewable(req)
	if err != nil {
		return nil, err
	}
	all := []web.Camera{}
	for _, p := range paths {
		all = append(all, web.Camera{Name: p.Name(), Title: titleOf(p), State: string(p.State().Phase), Video: videoOf(p)})
	}
	return all, nil
}

func titleOf(p *relay.Path) string {
	if t := p.Policy().Title; t != "" {
		return t
	}
	return p.Name()
}

// videoOf describes the picture for people.
func videoOf(p *relay.Path) string {
	tracks, _ := p.Stream().Tracks()
	for _, t := range tracks {
		if t.Width > 0 {
			return fmt.Sprintf("%s %d×%d", t.Codec, t.Width, t.Height)
		}
	}
	return ""
}
