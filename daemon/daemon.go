// Package daemon wires the rooms together: it reads the configuration, turns
// it into a plan, and makes what runs equal the plan, again and again. It is
// the only room that knows all others. Run is called once per process.
package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/keepalive"
	"camrelay/daemon/metrics"
	"camrelay/daemon/reconcile"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/watch"
	"camrelay/daemon/webhook"
	mem "camrelay/hal/memory"
	"camrelay/media/srt"
	"camrelay/systemd"
)

// Options is what the command line decides.
type Options struct {
	ConfigFile  string
	ConfigDirs  []string // of drop-ins, see config.Options.Dirs
	VendorFiles []string // see config.Options.Vendor
	StateDir    string   // survives a reboot
	RuntimeDir  string   // on a tmpfs: HLS segments and the API's socket
	Version     string
	// KeepSegments leaves HLS segments in the runtime directory at exit, so that the
	// next process, if it starts soon, goes on with them.
	KeepSegments bool

	Hardware string // directory with the board's sys, proc and so on; empty: /

	Manager *systemd.Manager // nil: none
	Reload  <-chan os.Signal // reads the configuration again, as if the files had changed; may be nil

	hurry time.Duration // of a test, see vigil
}

// daemon is the running whole. Only the goroutine of Run touches what is not
// guarded by mu.
type daemon struct {
	opts     Options
	log      *slog.Logger
	started  time.Time
	access   *auth.Access
	sessions *session.Registry
	relay    *relay.Relay
	pushes   *pushes
	cameras  *cameras
	sources  *sources
	leases   *keepalive.Leases
	servers  *servers
	sockets  *systemd.Sockets
	events   *webhook.Log
	hooks    *hooks
	watcher  *watch.Watcher
	metrics  *metrics.Metrics
	hangs    atomic.Bool          // something of it does, as the watchdog sees it
	beat     atomic.Int64         // when run has begun its last round, since started
	salt     [16]byte             // of the sums of secret files
	applied  plan                 // the last one
	current  atomic.Pointer[plan] // applied, for others; never nil
	conf     reloading
	vigil    vigil
	placard  placard
	box      *box
	beacon   *beacon
	kennel   kennel

	cameraSet *reconcile.Set[string, cameraSpec]
	hlsSet    *reconcile.Set[string, packageSpec]

	mu      sync.Mutex // guards status, changed
	status  api.ConfigStatus
	changed chan struct{} // closed when status changes

	terminate atomic.Pointer[config.Terminate] // never nil
	leaving   atomic.Bool                      // Run is about to return
}

// Run runs the daemon until ctx is done, then stops everything from the edge
// inwards and returns nil. An error means that it could not start.
func Run(ctx context.Context, opts Options, log *slog.Logger) error {
	if err := os.MkdirAll(opts.RuntimeDir, 0o755); err != nil {
		return fmt.Errorf("cannot create the runtime directory: %w", err)
	}
	if !inMemory(opts.RuntimeDir) {
		log.Warn("the runtime directory is not on a tmpfs: what is packaged for viewers wears the disk",
			"dir", opts.RuntimeDir)
	}
	d := &daemon{
		opts: opts, log: log, started: time.Now(),
		access: auth.New(log), events: webhook.NewLog(),
		status: api.ConfigStatus{State: stateRejected, RestartRequired: []string{}}, changed: make(chan struct{}),
		vigil: newVigil(opts.Manager), sockets: systemd.NewSockets(opts.Manager, log),
	}
	d.vigil.hurry = opts.hurry
	d.access.KeepLinks(linkKey(opts.StateDir, log))
	d.current.Store(&plan{})
	d.metrics = metrics.New(opts.Version, d.figures)
	d.sessions = session.NewRegistry(d.sessionEvent)
	d.hooks = newHooks(d.events, d.sessions, opts.Version, log)
	d.hooks.end = d.refuse
	if err := srt.CheckLibrary(); err != nil {
		log.Error("the SRT library has known holes, update it", "err", err)
	}
	d.placard = placard{dir: opts.RuntimeDir, log: log}
	d.box = &box{
		root: cmp.Or(opts.Hardware, "/"), dir: opts.RuntimeDir, floor: floor(), events: d.events,
		log: log, changed: make(chan struct{}, 1), use: func() (budget, used int64) { return d.servers.segments() },
	}
	d.beacon = newBeacon(d.box.root, log)
	d.kennel = kennel{root: d.box.root, log: log, open: openDog}
	d.terminate.Store(&config.Terminate{})
	rand.Read(d.salt[:]) // it never fails
	d.watcher = watch.New(log, d.places()...)
	d.relay = relay.New(relay.Config{
		Sessions: d.sessions, Access: d.access, Sources: adder{d}, Hooks: d.hooks, Observe: d.pathEvent,
		Refused: d.refused,
	}, log)
	d.pushes = newPushes(d.relay, d.sessions, opts.Version, d.pushEvent, log)
	d.pushes.machine.dir = opts.StateDir
	d.cameras = newCameras(d.relay, d.sessions, log)
	d.leases = keepalive.New(keepalive.Config{
		Paths: leasePaths{d}, Dir: opts.StateDir, Boot: boot, Observe: d.leaseEvent,
	}, log)
	d.servers = newServers(d)
	d.sources = newSources(d.relay, d.cameras, d.forgetSource, log)
	d.cameraSet = reconcile.New(d.cameras.run)
	d.hlsSet = reconcile.New(d.servers.packageHLS)
	return d.run(ctx)
}

// adder is the daemon's sources for the relay, which is made before them.
type adder struct{ d *daemon }

// Add implements relay.Sources.
func (a adder) Add(ctx context.Context, name string, source relay.Source) error {
	return a.d.sources.Add(ctx, name, source)
}

// retryProblems is how often is tried again what was applied but does not work:
// a port that was in use, an address that the box did not have yet, a server that
// has ended by itself.
const retryProblems = 5 * time.Second

// run is the one loop: it applies what the files say whenever they change.
func (d *daemon) run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx: stopping has an order
	defer cancel()
	changed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	// Their only errors are those of ctx.
	wg.Go(func() { _ = d.sessions.Run(ctx) })
	wg.Go(func() { _ = d.relay.Run(ctx) })
	wg.Go(func() {
		if err := d.watcher.Run(ctx, func() {
			select {
			case changed <- struct{}{}:
			default: // one is waiting already
			}
		}); err != nil && ctx.Err() == nil {
			d.log.Error("the configuration is no longer watched", "err", err)
		}
	})
	stopBox, stopBeacon := start(work, "hardware", d.box, d.log), start(work, "LED", d.beacon, d.log)
	d.leases.Load()
	stopLeases := start(work, "keepalives", d.leases, d.log)
	d.boot(work)
	d.sockets.Settle()
	d.log.Log(ctx, levelOf(d.problems()), "camrelay runs", "version", d.opts.Version, "problems", d.problems())
	d.announce()
	retry := time.NewTicker(d.vigil.period())
	defer retry.Stop()
	for ctx.Err() == nil {
		d.beat.Store(int64(time.Since(d.started)))
		select {
		case <-changed:
			d.reload(work)
		case <-d.opts.Reload:
			d.log.Info("asked to read the configuration again")
			d.reload(work)
		case <-d.conf.due():
			d.judge(work)
		case <-d.box.changed:
			d.shed(work)
		case <-retry.C:
			d.mend(work)
		case <-ctx.Done():
		}
		d.report(time.Now())
	}
	d.leaving.Store(true)
	d.log.Info("stopping")
	d.told(d.vigil.manager.Stopping())
	wg.Wait()
	stopLeases() // before their paths go
	stopBeacon()
	stopBox()
	d.sockets.Leave()
	d.shutdown()
	d.placard.hide()
	return nil
}

// problems returns what was applied and does not work.
func (d *daemon) problems() []string {
	all := slices.Concat(d.hooks.problems(), d.servers.problems(), d.kennel.problems())
	if d.conf.err != nil {
		all = append(all, "the last good configuration cannot be saved: "+d.conf.err.Error())
	}
	return all
}

// levelOf is that of a message that says what runs, or what of it does not work.
func levelOf(problems []string) slog.Level {
	if len(problems) > 0 {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// mend tries again what does not work, and nothing else.
func (d *daemon) mend(ctx context.Context) {
	d.save()
	d.hooks.retry(ctx)
	d.servers.retry(ctx)
	d.kennel.retry()
	if d.servers.hls.problem() != nil {
		d.servers.hls.retry(ctx)
		if d.servers.hls.problem() == nil {
			d.servers.applyLadders(d.applied.ladders)
			d.hlsSet.Apply(ctx, d.packaged(d.applied.hls)) // what has ended without the server begins again
		}
	}
	st := d.configStatus()
	if problems := d.problems(); !slices.Equal(st.Problems, problems) {
		st.Problems = problems
		d.setStatus(st)
	}
}

// openAPI opens the API where an empty file has it, so that it can be asked
// what is wrong with the files of the first start.
func (d *daemon) openAPI(ctx context.Context) {
	cfg, err := config.Parse("defaults", []byte("version: 1\n"))
	if err != nil {
		panic("daemon: internal error: " + err.Error())
	}
	d.servers.applyAPI(ctx, planOf(cfg, d.opts.Version).servers.api)
}

// places are where files of the configuration are, or may appear.
func (d *daemon) places() []string {
	machine := filepath.Join(d.opts.StateDir, MachineFile)
	return slices.Concat([]string{d.opts.ConfigFile, machine}, d.opts.VendorFiles, d.opts.ConfigDirs)
}

// watch watches the files that were read, and where more may appear.
func (d *daemon) watch(sources []config.Source) {
	paths := d.places()
	for _, s := range sources {
		paths = append(paths, s.Path)
	}
	d.watcher.SetPaths(paths...)
}

// apply makes what runs equal the plan; problems tells what could not be done.
func (d *daemon) apply(ctx context.Context, p plan) {
	d.applyAccess(p.access)
	d.terminate.Store(&p.terminate)
	d.pushes.holdOff.Store(int64(p.terminate.HoldOff))
	d.sessions.SetStalledAfter(p.source.StalledAfter)
	d.hooks.apply(ctx, p.hooks)
	d.sources.configure(p.source, p.paths)
	for name, policy := range p.paths {
		d.relay.Put(name, policy)
	}
	d.applyLeases(p)
	d.pushes.apply(p.pushes, p.named)
	if d.servers.hls.spec != p.servers.hls {
		d.hlsSet.Apply(ctx, nil) // two packagers must not write for one camera
		d.hlsSet.Wait()
	}
	d.servers.applyOutputs(p.outputs)
	d.servers.jpegs.Store(&p.jpegs)
	d.servers.audio.Store(&p.audio)
	d.servers.applyHLS(ctx, p.servers.hls)
	d.servers.applyLadders(p.ladders)
	d.hlsSet.Apply(ctx, d.packaged(p.hls))
	d.cameraSet.Apply(ctx, p.cameras)
	for _, path := range d.relay.Paths() {
		if _, wanted := p.paths[path.Name()]; !wanted && !d.sources.has(path.Name()) {
			d.pushes.cameraGone(path.Name())
			d.pushes.set.Wait()
			d.cameraSet.Wait(path.Name())
			d.relay.Drop(path.Name())
			d.leases.PathRemoved(path.Name(), "camera removed from the configuration")
			d.cameras.forget(path.Name())
			d.servers.removeHLS(path.Name())
		}
	}
	d.servers.apply(ctx, p.servers)
	d.beacon.use(p.box.LED)
	d.kennel.use(p.box.Watchdog)
}

// shed does without what there is no memory for, or takes it up again.
func (d *daemon) shed(ctx context.Context) {
	d.servers.shed(d.box.short())
	d.hlsSet.Apply(ctx, d.packaged(d.applied.hls))
	if d.box.short() < mem.Empty {
		return
	}
	d.hlsSet.Wait()
	for name := range d.applied.hls {
		d.servers.removeHLS(name)
	}
}

// packaged returns what is packaged of what is to be: nothing while there is no
// memory for it.
func (d *daemon) packaged(want map[string]packageSpec) map[string]packageSpec {
	if d.box.short() >= mem.Empty {
		return nil
	}
	return want
}

// shutdown stops from the edge inwards, so that everybody downstream is told
// before the media ends, and the cameras get their TEARDOWN.
func (d *daemon) shutdown() {
	d.pushes.Close()
	d.servers.closeViewers()
	d.hlsSet.Close()
	d.cameraSet.Close()
	d.sources.Close()
	d.relay.Close()
	d.hooks.Close()
	d.servers.closeAPI()
	d.kennel.close()
	d.log.Info("stopped")
}

func (d *daemon) configStatus() api.ConfigStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

func (d *daemon) setStatus(st api.ConfigStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = st
	close(d.changed)
	d.changed = make(chan struct{})
}

// configNews returns the status, and a channel that is closed when it changes.
func (d *daemon) configNews() (api.ConfigStatus, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status, d.changed
}
