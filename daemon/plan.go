package daemon

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/relay"
	"camrelay/media/camera"
	"camrelay/media/hls"
	"camrelay/media/still"
)

// plan is what is to run, as comparable specifications: whatever differs from
// what runs is restarted, and nothing else.
type plan struct {
	access  auth.Rules
	paths   map[string]relay.Policy
	source  relay.Policy // of paths that are added at run time
	cameras map[string]cameraSpec
	hls     map[string]packageSpec // packaged as long as the camera is warm
	outputs map[string]config.Outputs
	ladders map[string]string // paths with commas between them
	jpegs   map[string]still.Source
	audio   map[string]config.Audio // of viewers, from their next start on
	pushes  map[string]pushPlan
	named   map[string]config.Camera // for pushes that are added at run time
	servers serverSpec

	keepalives map[string]keepalive.Declared
	terminate  config.Terminate
	hooks      map[string]config.Hook
	box        config.Box
}

// cameraSpec is everything that, when it changes, reconnects a camera.
type cameraSpec struct{ camera.Spec }

// hlsSpec is everything that, when it changes, restarts packagers.
type hlsSpec struct {
	hls.Config
	budget, budgetPerCamera int64
}

// packageSpec is everything that, when it changes, restarts one packager.
type packageSpec struct {
	hlsSpec
	audio config.Audio
}

// serverSpec is what the listeners are to be.
type serverSpec struct {
	rtsp config.RTSP
	http config.HTTP
	rtmp config.Listener
	srt  config.SRT
	api  apiSpec
	hls  hlsSpec

	metrics config.Listener
}

type apiSpec struct{ listen, socket string }

// split returns what the server is and what its twin is that speaks TLS. The
// certificate is in neither: it is replaced under a server that runs.
func (s serverSpec) split() (rtsp, rtsps config.RTSP, http, https config.HTTP) {
	rtsp, rtsps, http, https = s.rtsp, s.rtsp, s.http, s.http
	rtsp.TLS, rtsps.Listen = config.ServerTLS{}, ""
	rtsps.TLS, rtsps.Multicast = config.ServerTLS{Listen: s.rtsp.TLS.Listen}, config.Multicast{}
	http.TLS, https.Listen = config.ServerTLS{}, ""
	https.TLS = config.ServerTLS{Listen: s.http.TLS.Listen}
	return rtsp, rtsps, http, https
}

// listening is a server for comparison.
type listening struct {
	addr string
	spec any // of its slot
	cert config.ServerTLS
}

// listening returns the servers by name.
func (s serverSpec) listening() map[string]listening {
	rtsp, rtsps, http, https := s.split()
	return map[string]listening{
		"RTSP":          {addr: rtsp.Listen, spec: rtsp},
		"RTSP over TLS": {rtsps.TLS.Listen, rtsps, s.rtsp.TLS},
		"HTTP":          {addr: http.Listen, spec: http},
		"HTTPS":         {https.TLS.Listen, https, s.http.TLS},
		"RTMP":          {addr: s.rtmp.Listen, spec: s.rtmp},
		"SRT":           {addr: s.srt.Listen, spec: s.srt},
		"API":           {addr: strings.TrimSpace(s.api.listen + " " + s.api.socket), spec: s.api},
		"metrics":       {addr: s.metrics.Listen, spec: s.metrics},
	}
}

// hlsLinger is how long HLS of an on-demand camera outlives its last viewer.
const hlsLinger = 10 * time.Second

// hlsStart bounds how long an HLS viewer waits for the first segment once the
// camera delivers; for the camera it waits as long as its start_timeout says.
const hlsStart = 30 * time.Second

// planOf is pure: the same configuration gives the same plan. version is what
// upstreams are told of this program.
func planOf(cfg *config.Config, version string) plan {
	spec := hlsSpec{
		Config: hls.Config{
			Segment: cfg.HLS.Segment, Part: cfg.HLS.Part, Window: cfg.HLS.Window,
			StartTimeout: hlsStart, Linger: hlsLinger,
		},
		budget: cfg.HLS.Budget, budgetPerCamera: cfg.HLS.BudgetPerCamera,
	}
	p := plan{
		access: accessOf(cfg),
		paths:  make(map[string]relay.Policy),
		source: relay.Policy{
			Runtime: true, IdleAfter: cfg.Defaults.IdleAfter, StartTimeout: cfg.Defaults.StartTimeout,
			StalledAfter: cfg.StalledAfter,
		},
		cameras: make(map[string]cameraSpec),
		hls:     make(map[string]packageSpec),
		outputs: make(map[string]config.Outputs),
		ladders: make(map[string]string),
		jpegs:   make(map[string]still.Source),
		audio:   make(map[string]config.Audio),
		pushes:  make(map[string]pushPlan),
		named:   cfg.Cameras,
		servers: serverSpec{
			rtsp: cfg.RTSP, http: cfg.HTTP, rtmp: cfg.RTMP, srt: cfg.SRT, api: apiSpec{cfg.API.Listen, cfg.API.Socket},
			hls: spec, metrics: cfg.Metrics,
		},
		terminate: cfg.Terminate, hooks: cfg.Hooks, box: cfg.Box,
	}
	for name, c := range cfg.Cameras {
		warm := c.Keep == config.KeepWarm
		p.paths[name] = policyOf(c, cfg.StalledAfter)
		p.cameras[name] = cameraOf(c, cfg.StalledAfter)
		if cfg.HLS.Mode == config.ModeOff {
			c.Outputs.HLS = false
		}
		p.outputs[name] = c.Outputs
		p.jpegs[name], p.audio[name] = jpegOf(name, cfg.Cameras), c.Audio
		if warm && c.Outputs.HLS && cfg.HLS.Mode == config.ModeAlways {
			p.hls[name] = packageSpec{spec, c.Audio}
		}
	}
	for name, all := range cfg.Ladders {
		p.ladders[name] = strings.Join(all, ",")
	}
	p.keepalives = make(map[string]keepalive.Declared, len(cfg.Keepalives))
	for name, k := range cfg.Keepalives {
		p.keepalives[name] = keepalive.Declared{Path: k.Camera, Label: k.Label, Priority: k.Priority}
	}
	for name, push := range cfg.Pushes {
		p.pushes[name] = pushOf(push, cfg.Files[name], version)
	}
	return p
}

func accessOf(cfg *config.Config) auth.Rules {
	r := auth.Rules{
		Open: cfg.Access.View == config.ViewOpen, Hosts: cfg.Access.Hosts, RTSP: auth.Proof(cfg.Access.RTSP),
	}
	for _, u := range cfg.Users {
		r.Users = append(r.Users, auth.User{
			Name: u.Name, PasswordHash: u.PasswordHash, TokenHashes: u.TokenHashes, DigestHashes: u.DigestHashes,
			Role: auth.Role(u.Role), Cameras: u.Cameras,
		})
	}
	return r
}

func policyOf(c config.Camera, stalledAfter time.Duration) relay.Policy {
	policy := relay.Policy{
		Warm: c.Keep == config.KeepWarm, IdleAfter: c.IdleAfter, OnIdle: relay.OnIdle(c.OnIdle),
		StartTimeout: c.StartTimeout, StalledAfter: stalledAfter, Title: c.Title,
		MaxViewers: c.MaxViewers,
	}
	if c.Keep == config.KeepHours {
		policy.Schedule.Zone = c.Schedule.Zone
		for i, w := range c.Schedule.Windows {
			policy.Schedule.Windows[i] = relay.Window{Days: uint8(w.Days), From: w.From, To: w.To}
		}
	}
	return policy
}

func cameraOf(c config.Camera, stalledAfter time.Duration) cameraSpec {
	return cameraSpec{camera.Spec{
		URL: c.URL, Username: c.Username, Password: c.Password, Transport: camera.Transport(c.Transport),
		Fingerprint: c.TLS.Fingerprint, Insecure: c.TLS.Insecure, MediaTimeout: stalledAfter,
	}}
}

// diff says in words what the change from one plan to another touches, sorted.
// Whatever it does not name goes on without a gap.
func diff(from, to plan) []api.PlanChange {
	all := []api.PlanChange{}
	all = append(all, diffMaps("camera", from.cameras, to.cameras, "reconnects")...)
	all = append(all, diffMaps("policy of camera", from.paths, to.paths, "changes without a reconnect")...)
	all = append(all, diffMaps("HLS of camera", from.hls, to.hls, "restarts, its sequence goes on")...)
	all = append(all, diffMaps("keepalive", from.keepalives, to.keepalives, "changes without a reconnect")...)
	all = append(all, diffMaps("push", from.pushSpecs(), to.pushSpecs(), "reconnects")...)
	for name, was := range from.pushes {
		if is, ok := to.pushes[name]; ok && is.spec == was.spec && is.terms != was.terms {
			all = append(all, api.PlanChange{Object: "push " + name, Effect: "changes without a reconnect"})
		}
	}
	was := from.servers.listening()
	for name, is := range to.servers.listening() {
		if change := was[name].change(is); change != "" {
			all = append(all, api.PlanChange{Object: name + " server", Effect: change})
		}
	}
	if from.servers.hls != to.servers.hls {
		all = append(all, api.PlanChange{Object: "HLS server", Effect: "restarts, its viewers load anew"})
	}
	all = append(all, diffMaps("outputs of camera", from.outputs, to.outputs, "some are switched on or off")...)
	all = append(all, diffMaps("snapshot of camera", from.jpegs, to.jpegs, "has another source")...)
	all = append(all, diffMaps("sound of camera", from.audio, to.audio, "changes for new viewers")...)
	all = append(all, diffMaps("ladder of camera", from.ladders, to.ladders, "changes")...)
	all = append(all, diffMaps("hook", from.hooks, to.hooks, "is replaced, what it was not told goes to the new one")...)
	if from.box != to.box {
		all = append(all, api.PlanChange{Object: "box", Effect: "another LED or watchdog is used"})
	}
	if from.terminate != to.terminate {
		all = append(all, api.PlanChange{Object: "terminate", Effect: "changes for who asks from now on"})
	}
	if from.source != to.source {
		all = append(all, api.PlanChange{
			Object: "policy of paths that are added at run time", Effect: "changes without a reconnect",
		})
	}
	if !reflect.DeepEqual(from.access, to.access) {
		all = append(all, api.PlanChange{Object: "access", Effect: "changes; viewers whose right is gone are sent away"})
	}
	slices.SortFunc(all, func(a, b api.PlanChange) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// change says in words what becomes of a server, nothing if it stays as it is.
func (was listening) change(is listening) string {
	switch {
	case was.addr == "" && is.addr == "":
		return ""
	case was.addr == "":
		return "is switched on at " + is.addr
	case is.addr == "":
		return "is switched off"
	case was.addr != is.addr:
		return "moves from " + was.addr + " to " + is.addr
	case was.spec != is.spec:
		return "restarts, its clients connect anew"
	case was.cert != is.cert:
		return "shows another certificate"
	}
	return ""
}

func diffMaps[S comparable](what string, from, to map[string]S, change string) (all []api.PlanChange) {
	add := func(name, effect string) {
		all = append(all, api.PlanChange{Object: what + " " + name, Effect: effect})
	}
	for name := range maps.Keys(from) {
		if _, ok := to[name]; !ok {
			add(name, "is removed")
		}
	}
	for name, spec := range to {
		old, ok := from[name]
		switch {
		case !ok:
			add(name, "is added")
		case old != spec:
			add(name, change)
		}
	}
	return all
}

// Diff says what the running daemon would touch on the way from one
// configuration to another, sorted. Whatever it does not name goes on.
func Diff(from, to *config.Config) []api.PlanChange { return diff(planOf(from, ""), planOf(to, "")) }

// preview tells what saving a file would do. It may be called from any goroutine.
func (d *daemon) preview(req api.PlanRequest) api.PlanResult {
	opts := d.configOptions()
	set := config.Read(opts)
	if req.File != "" {
		with, err := set.With(req.File, req.File, []byte(req.Text), opts)
		if err != nil {
			return api.PlanResult{
				Errors: config.Errors{{File: req.File, Message: err.Error()}}, Warnings: config.Errors{},
				Skipped: []string{}, Changes: []api.PlanChange{},
			}
		}
		set = with
	}
	r := set.Load(opts)
	p := Preview(set, r, nil)
	if r.Config != nil {
		p.Changes = diff(*d.current.Load(), planOf(r.Config, d.opts.Version))
	}
	return p
}

// Preview puts into the shape of the API what has become of a set, and what it
// would touch on the way from another configuration, which may be nil.
func Preview(set *config.Set, r config.Result, from *config.Config) api.PlanResult {
	p := api.PlanResult{
		Valid: r.Config != nil, Hash: set.Hash(), Errors: append(config.Errors{}, r.Errors...),
		Warnings: config.Errors{}, Skipped: append([]string{}, r.LeftOut...), Changes: []api.PlanChange{},
	}
	if r.Config != nil {
		p.Warnings = append(p.Warnings, r.Config.Warnings...)
	}
	if r.Config != nil && from != nil {
		p.Changes = Diff(from, r.Config)
	}
	return p
}
