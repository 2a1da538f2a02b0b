package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/web"
	"camrelay/media/hls"
	"camrelay/media/hub"
	"camrelay/media/rtspd"
)

// servers is everything that listens, and the HLS packagers behind one of
// them. apply and close are called from one goroutine.
type servers struct {
	d    *daemon
	log  *slog.Logger
	rtsp slot[string]
	http slot[string]
	api  slot[apiSpec]
	hls  slot[hlsSpec]

	running atomic.Pointer[hls.Server] // nil while HLS is off
	off     atomic.Pointer[map[string]bool]

	mu    sync.Mutex // guards addrs
	addrs map[string]string
}

func newServers(d *daemon) *servers {
	s := &servers{d: d, log: d.log, addrs: make(map[string]string)}
	empty := func(addr string) bool { return addr == "" }
	s.rtsp = slot[string]{name: "rtsp", open: s.openRTSP, off: empty, log: d.log}
	s.http = slot[string]{name: "http", open: s.openHTTP, off: empty, log: d.log}
	s.api = slot[apiSpec]{name: "api", open: s.openAPI, off: func(a apiSpec) bool { return a == apiSpec{} }, log: d.log}
	s.hls = slot[hlsSpec]{name: "hls", open: s.openHLS, off: func(h hlsSpec) bool { return h == hlsSpec{} }, log: d.log}
	return s
}

// applyHLS makes the HLS server run spec. Packagers of the one before must
// have ended when the specification differs.
func (s *servers) applyHLS(ctx context.Context, spec hlsSpec, off map[string]bool) error {
	s.off.Store(&off)
	if s.hls.spec != spec {
		s.hls.close() // two servers must not write into one directory
	}
	return s.hls.apply(ctx, spec)
}

// removeHLS removes what a camera that is gone has left on the tmpfs.
func (s *servers) removeHLS(name string) {
	if srv := s.running.Load(); srv != nil {
		if err := srv.Remove(name); err != nil {
			s.log.Error("cannot remove the segments of a camera", "cam", name, "err", err)
		}
	}
}

// apply makes the listeners equal spec and returns what could not be done.
func (s *servers) apply(ctx context.Context, spec serverSpec) (problems []string) {
	for _, err := range []error{s.rtsp.apply(ctx, spec.rtsp), s.http.apply(ctx, spec.http), s.api.apply(ctx, spec.api)} {
		if err != nil {
			problems = append(problems, err.Error())
			s.log.Error("cannot listen", "err", err)
		}
	}
	if spec.rtsp == "" {
		s.bound("rtsp", "")
	}
	if spec.http == "" {
		s.bound("http", "")
	}
	return problems
}

func (s *servers) closeViewers() {
	s.rtsp.close()
	s.http.close()
	s.hls.close()
}

// closeAPI closes the API for good and removes its socket.
func (s *servers) closeAPI() {
	s.api.close()
	if socket := s.socket(s.api.spec); socket != "" {
		if err := removeSocket(socket); err != nil {
			s.log.Error("cannot remove the API's socket", "err", err)
		}
	}
}

// socket returns the path of the API's socket, empty if there is none.
func (s *servers) socket(spec apiSpec) string {
	if spec.socket != "" && !filepath.IsAbs(spec.socket) {
		return filepath.Join(s.d.opts.RuntimeDir, spec.socket)
	}
	return spec.socket
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

func (s *servers) openRTSP(addr string) (runner, error) {
	srv := rtspd.New(rtspd.Config{Listen: addr}, s.d.relay.Subscribe, s.log)
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	s.bound("rtsp", srv.Addr().String())
	return srv, nil
}

// openHTTP binds the viewers' port: the page and its assets at / and /-/, all
// else is HLS.
func (s *servers) openHTTP(addr string) (runner, error) {
	page := web.Handler(s.webCameras)
	mux := http.NewServeMux()
	mux.Handle("/{$}", page)
	mux.Handle("/-/", page)
	mux.Handle("/favicon.ico", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if srv := s.running.Load(); srv != nil {
			srv.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
	srv, err := listenHTTP(addr, "", viewerLimits(), mux, s.log)
	if err != nil {
		return nil, err
	}
	s.bound("http", srv.listeners[0].Addr().String())
	return srv, nil
}

func (s *servers) openAPI(spec apiSpec) (runner, error) {
	handler := api.New(api.Config{
		Version: s.d.opts.Version, Started: s.d.started, Access: s.d.access, Relay: s.d.relay,
		Sources: s.d.sources, Sessions: s.d.sessions,
		Keepalive: s.d.leases, End: s.d.end, PushControl: s.d.pushes,
		Terminate: func() config.Terminate { return *s.d.terminate.Load() },
		Pushes:    s.d.pushes.list, Config: s.d.configStatus, Listeners: s.listeners,
		Events: s.d.events, Hooks: s.d.hooks.status,
	})
	srv, err := listenHTTP(spec.listen, s.socket(spec), apiLimits(), handler, s.log)
	if err != nil {
		return nil, err
	}
	s.bound("api", srv.listeners[0].Addr().String())
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
	srv := hls.NewServer(spec.Config, root, hls.NewBudget(spec.budgetPerCamera, spec.budget), s.subscribeHLS, s.log)
	s.running.Store(srv)
	return srv, nil
}

// subscribeHLS refuses cameras whose HLS is switched off.
func (s *servers) subscribeHLS(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	if (*s.off.Load())[req.Path] {
		return nil, hub.ErrNotFound
	}
	return s.d.relay.Subscribe(ctx, req)
}

// packageHLS packages one stream until ctx is done: the run function of the
// reconcile.Set of warm cameras.
func (s *servers) packageHLS(ctx context.Context, name string, _ hlsSpec) {
	path, srv := s.d.relay.Path(name), s.running.Load()
	if path == nil || srv == nil {
		return // the plan names only what exists
	}
	if err := srv.Package(ctx, path.Stream()); err != nil && ctx.Err() == nil {
		s.log.Error("HLS packaging ended", "cam", name, "err", err)
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
