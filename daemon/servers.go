package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	mem "camrelay/hal/memory"
	"camrelay/media/accept"
	"camrelay/media/hls"
	"camrelay/media/still"
)

// servers is everything that listens, and the HLS packagers behind one of
// them. apply and close are called from one goroutine.
type servers struct {
	d     *daemon
	log   *slog.Logger
	rtsp  slot[config.RTSP]
	rtsps slot[config.RTSP]
	http  slot[config.HTTP]
	https slot[config.HTTP]
	rtmp  slot[config.Listener]
	srt   slot[config.SRT]
	api   slot[string]
	sock  slot[string] // of the API
	hls   slot[hlsSpec]

	metrics slot[config.Listener]

	web http.Handler // of viewers' ports

	listening []server // all slots but that of HLS
	unusable  []string // what of the last specification is no matter of trying again

	budget  atomic.Pointer[hls.Budget] // of running
	running atomic.Pointer[hls.Server] // the one that began last; nil before there is any
	up      atomic.Pointer[map[string]bool]
	outputs atomic.Pointer[map[string]config.Outputs]
	jpegs   atomic.Pointer[map[string]still.Source]
	audio   atomic.Pointer[map[string]config.Audio]

	ladders            map[string]string // as applied
	rtspCert, httpCert certificate

	mu    sync.Mutex // guards addrs
	addrs map[string]string
}

// server is a slot of any specification.
type server interface {
	retry(ctx context.Context)
	problem() error
	listens() (name string, wanted, does bool)
}

func newServers(d *daemon) *servers {
	s := &servers{d: d, log: d.log, addrs: make(map[string]string)}
	s.web = s.viewersHandler()
	log := d.log
	s.rtsp = slot[config.RTSP]{
		name: "rtsp", open: s.openRTSP, addr: func(r config.RTSP) string { return r.Listen }, log: log,
	}
	s.rtsps = slot[config.RTSP]{
		name: "rtsps", open: s.openRTSPS, addr: func(r config.RTSP) string { return r.TLS.Listen }, log: log,
	}
	s.http = slot[config.HTTP]{
		name: "http", open: s.openHTTP, addr: func(h config.HTTP) string { return h.Listen }, log: log,
	}
	s.https = slot[config.HTTP]{
		name: "https", open: s.openHTTPS, addr: func(h config.HTTP) string { return h.TLS.Listen }, log: log,
	}
	s.rtmp = slot[config.Listener]{
		name: "rtmp", open: s.openRTMP, addr: func(l config.Listener) string { return l.Listen }, log: log,
	}
	s.srt = slot[config.SRT]{
		name: "srt", open: s.openSRT, addr: func(c config.SRT) string { return c.Listen }, log: log,
	}
	s.api = slot[string]{name: "api", open: s.openAPI, addr: func(addr string) string { return addr }, log: log}
	s.sock = slot[string]{
		name: "api", open: s.openSocket, off: func(path string) bool { return path == "" }, log: log,
	}
	s.hls = slot[hlsSpec]{name: "hls", open: s.openHLS, off: func(h hlsSpec) bool { return h == hlsSpec{} }, log: log}
	s.metrics = slot[config.Listener]{
		name: "metrics", open: s.openMetrics, addr: func(l config.Listener) string { return l.Listen }, log: log,
	}
	s.listening = []server{&s.rtsp, &s.rtsps, &s.http, &s.https, &s.rtmp, &s.srt, &s.api, &s.sock, &s.metrics}
	return s
}

// applyHLS makes the HLS server run spec, or says why not in problems. Packagers
// of the one before must have ended when the specification differs.
func (s *servers) applyHLS(ctx context.Context, spec hlsSpec) {
	if s.hls.spec != spec {
		s.hls.close() // two servers must not write into one directory
	}
	s.hls.apply(ctx, spec)
}

// problems returns what was applied and does not work.
func (s *servers) problems() []string {
	all := slices.Clone(s.unusable)
	for _, one := range append([]server{&s.hls}, s.listening...) {
		if err := one.problem(); err != nil {
			all = append(all, err.Error())
		}
	}
	up := make(map[string]bool)
	for _, one := range s.listening {
		if name, wanted, does := one.listens(); wanted {
			before, known := up[name] // the API has two
			up[name] = does && (before || !known)
		}
	}
	s.up.Store(&up)
	return all
}

// retry tries again to listen where that does not work.
func (s *servers) retry(ctx context.Context) {
	s.renew()
	for _, one := range s.listening {
		one.retry(ctx)
	}
}

// applyLadders tells the HLS server which cameras are one playlist.
func (s *servers) applyLadders(ladders map[string]string) {
	srv := s.running.Load()
	if srv == nil {
		return
	}
	for name := range s.ladders {
		if _, ok := ladders[name]; !ok {
			srv.Ladder(name, nil)
		}
	}
	for name, all := range ladders {
		srv.Ladder(name, strings.Split(all, ","))
	}
	s.ladders = ladders
}

// removeHLS removes what a camera that is gone has left on the tmpfs.
func (s *servers) removeHLS(name string) {
	if srv := s.running.Load(); srv != nil {
		if err := srv.Remove(name); err != nil {
			s.log.Error("cannot remove the segments of a camera", "cam", name, "err", err)
		}
	}
}

// own returns the box's own certificate.
func (s *servers) own() (*tls.Certificate, error) {
	return boxCertificate(s.d.opts.StateDir, boxNames(), time.Now(), s.log)
}

// renew replaces certificates of the box's own that end soon.
func (s *servers) renew() {
	for name, cert := range map[string]*certificate{"rtsps": &s.rtspCert, "https": &s.httpCert} {
		if err := cert.renew(); err != nil {
			s.log.Error("a server's certificate cannot be renewed", "server", name, "err", err)
		}
	}
}

// apply makes the listeners equal spec; problems tells what could not be done.
func (s *servers) apply(ctx context.Context, spec serverSpec) {
	s.unusable = nil
	for name, err := range map[string]error{
		"rtsp": s.rtspCert.set(spec.rtsp.TLS, s.own), "http": s.httpCert.set(spec.http.TLS, s.own),
	} {
		if err != nil {
			s.unusable = append(s.unusable, name+".tls: "+err.Error())
			s.log.Error("a server's certificate cannot be used", "server", name, "err", err)
		}
	}
	rtsp, rtsps, http, https := spec.split()
	s.rtsp.apply(ctx, rtsp)
	s.rtsps.apply(ctx, rtsps)
	s.http.apply(ctx, http)
	s.https.apply(ctx, https)
	s.rtmp.apply(ctx, spec.rtmp)
	s.srt.apply(ctx, spec.srt)
	s.applyAPI(ctx, spec.api)
	s.metrics.apply(ctx, spec.metrics)
	for name, addr := range map[string]string{
		"rtsp": spec.rtsp.Listen, "rtsps": spec.rtsp.TLS.Listen, "http": spec.http.Listen, "https": spec.http.TLS.Listen,
		"rtmp": spec.rtmp.Listen, "srt": spec.srt.Listen, "metrics": spec.metrics.Listen,
		"api": spec.api.listen, "api.socket": spec.api.socket,
	} {
		if addr == "" {
			s.bound(name, "")
		}
	}
}

// applyAPI makes the API listen. Whoever has its port leaves it the socket, where it
// can be asked what is wrong.
func (s *servers) applyAPI(ctx context.Context, spec apiSpec) {
	s.api.apply(ctx, spec.listen)
	s.sock.apply(ctx, s.socket(spec.socket))
}

// closeViewers closes all servers of viewers at once, then what they share.
func (s *servers) closeViewers() {
	var wg sync.WaitGroup
	for _, end := range []func(){
		s.rtsp.close, s.rtsps.close, s.http.close, s.https.close, s.rtmp.close, s.srt.close,
	} {
		wg.Go(end)
	}
	wg.Wait()
	s.hls.close()
}

// closeAPI closes the API and the metrics for good.
func (s *servers) closeAPI() {
	s.metrics.close()
	s.api.close()
	s.sock.close()
}

// socket returns the path of the API's socket, empty if there is none.
func (s *servers) socket(name string) string {
	if name != "" && !filepath.IsAbs(name) {
		return filepath.Join(s.d.opts.RuntimeDir, name)
	}
	return name
}

// bound notes where a server listens, nowhere if addr is empty, for the API.
func (s *servers) bound(name, addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if addr == "" {
		delete(s.addrs, name)
		return
	}
	s.addrs[name] = addr
}

func (s *servers) listeners() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]string, len(s.addrs))
	maps.Copy(all, s.addrs)
	return all
}

// apiConfig is what the API and the metrics' port read from.
func (s *servers) apiConfig() api.Config {
	return api.Config{
		Version: s.d.opts.Version, Started: s.d.started, Access: s.d.access, Relay: s.d.relay,
		Sources: s.d.sources, Sessions: s.d.sessions,
		Keepalive: s.d.leases, End: s.d.end, PushControl: s.d.pushes,
		Terminate: func() config.Terminate { return *s.d.terminate.Load() },
		Pushes:    s.d.pushes.list, HLS: s.hlsStatus, Outputs: s.outputsOf,
		Config: s.d.configStatus, Listeners: s.listeners,
		SourceURL: s.d.sourceURL, ConfigNews: s.d.configNews, Plan: s.d.preview,
		Events: s.d.events, Hooks: s.d.hooks.status,
		Alive: s.d.alive, Ready: s.d.unready, Box: s.d.box.status, Identify: s.d.beacon.identify,
	}
}

func (s *servers) openAPI(addr string) (runner, error) { return s.listenAPI("api", addr, "") }

func (s *servers) openSocket(path string) (runner, error) { return s.listenAPI("api.socket", "", path) }

// listenAPI binds an address or a socket of the API.
func (s *servers) listenAPI(name, addr, socket string) (runner, error) {
	srv, err := listenHTTP(s.d.sockets.Listen, addr, socket, apiLimits(), api.New(s.apiConfig()), s.log)
	if err != nil {
		return nil, err
	}
	s.bound(name, srv.listeners[0].Addr().String())
	return srv, nil
}

func (s *servers) openMetrics(l config.Listener) (runner, error) {
	limits := apiLimits()
	limits.conns = accept.Limits{All: cmp.Or(l.MaxConnections, 64), FromOne: cmp.Or(l.MaxPerAddress, 16)}
	handler := api.Monitor(s.apiConfig(), s.d.metrics.Handler())
	srv, err := listenHTTP(s.d.sockets.Listen, l.Listen, "", limits, handler, s.log)
	if err != nil {
		return nil, err
	}
	s.bound("metrics", srv.listeners[0].Addr().String())
	return srv, nil
}

// openHLS makes the server that packages and serves HLS below the runtime
// directory.
func (s *servers) openHLS(spec hlsSpec) (runner, error) {
	dir := filepath.Join(s.d.opts.RuntimeDir, "hls")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create the directory of segments: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the directory of segments: %w", err)
	}
	budget := hls.NewBudget(spec.budgetPerCamera, spec.budget).Beware(root)
	srv := hls.NewServer(spec.Config, root, budget, s.subscribe, s.log)
	srv.Through(s.packaged)
	srv.Outlive(func() bool { return s.d.opts.KeepSegments && s.d.leaving.Load() })
	budget.Shrink(shedParts(s.d.box.short()))
	s.budget.Store(budget)
	s.running.Store(srv)
	return srv, nil
}

// shed makes playlists as long as there is memory for.
func (s *servers) shed(level mem.Level) {
	if b := s.budget.Load(); b != nil {
		b.Shrink(shedParts(level))
	}
}

// segments returns the bytes that segments may take, and take.
func (s *servers) segments() (budget, used int64) {
	if b := s.budget.Load(); b != nil {
		used, budget = b.Used()
	}
	return budget, used
}

// hlsStatus tells of a camera's packager, nil if there is none.
func (s *servers) hlsStatus(camera string) *api.HLSStatus {
	srv := s.running.Load()
	if srv == nil {
		return nil
	}
	st, ok := srv.Status(camera)
	if !ok {
		return nil
	}
	shown := &api.HLSStatus{
		Segments: st.Segments, Bytes: st.Bytes, Sequence: st.Sequence,
		TargetDuration: st.TargetDuration.Seconds(), PartTarget: st.PartTarget.Seconds(), Bandwidth: st.Bandwidth,
		Gaps: st.Gaps, Discontinuities: st.Discontinuities, Lost: st.Lost, Warnings: st.Warnings,
	}
	if st.Err != nil {
		shown.Error = st.Err.Error()
	}
	return shown
}

// packageHLS packages one stream until ctx is done: the run function of the
// reconcile.Set of warm cameras.
func (s *servers) packageHLS(ctx context.Context, name string, _ packageSpec) {
	path, srv := s.d.relay.Path(name), s.running.Load()
	if path == nil || srv == nil {
		return // the plan names only what exists
	}
	if err := srv.Package(ctx, path.Stream()); err != nil && ctx.Err() == nil {
		s.log.Error("HLS packaging ended", "cam", name, "err", err)
	}
}
