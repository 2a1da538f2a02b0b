package selftest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"camrelay/daemon/api"
	"camrelay/media/testcam"
)

// name is that of the synthetic camera.
const name = "selftest"

// bench is a daemon with a synthetic camera, and who watches.
type bench struct {
	dir, file  string
	socket     string
	cam        *testcam.Server
	ledger     *ledger
	rtmp, srt  *tally
	pushes     string // lines of the configuration
	listeners  map[string]string
	ended      chan struct{} // closed when the daemon has ended
	err        error         // why; valid once ended is closed
	stop       context.CancelFunc
	stopDaemon context.CancelFunc
	all        sync.WaitGroup // everything but the daemon
}

// close ends everything: the daemon first, so that the camera sees its goodbye.
func (b *bench) close() {
	if b == nil {
		return
	}
	b.stopDaemon()
	<-b.ended
	b.stop()
	b.all.Wait()
	_ = os.RemoveAll(b.dir) // what remains there is in memory, and no fault of the box
}

// start starts all of it. What it has started ends by close, also after an error.
func (r *run) start(ctx context.Context) (*bench, error) {
	dir, err := os.MkdirTemp(r.Scratch, "camrelay-selftest-")
	if err != nil {
		return nil, err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	daemon, stopDaemon := context.WithCancel(work)
	b := &bench{
		dir: dir, file: filepath.Join(dir, "camrelay.yaml"), socket: filepath.Join(dir, "run", "api.sock"),
		ledger: newLedger(), stop: stop, stopDaemon: stopDaemon, ended: make(chan struct{}),
	}
	b.rtmp, b.srt = newTally(b.ledger), newTally(b.ledger)
	err = errors.Join(b.startCamera(work), b.startRTMP(work), b.startSRT(work, r))
	if err == nil {
		err = b.configure("")
	}
	if err != nil {
		close(b.ended)
		return b, err
	}
	b.all.Go(func() {
		defer close(b.ended)
		b.err = r.Daemon(daemon, b.file, filepath.Join(dir, "state"), filepath.Join(dir, "run"))
	})
	return b, nil
}

// startCamera starts the camera, and watches it directly.
func (b *bench) startCamera(ctx context.Context) error {
	b.cam = testcam.New(testcam.Config{
		Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Path: name, Height: 720, GOP: 25}},
	}, slog.New(slog.DiscardHandler))
	if err := b.cam.Listen(); err != nil {
		return err
	}
	b.all.Go(func() { _ = b.cam.Run(ctx) })
	url := b.cam.URL(name)
	b.all.Go(func() { _ = playRTSP(ctx, url, b.ledger.add) }) // what it lacks is missed by the checks
	return nil
}

func (b *bench) startRTMP(ctx context.Context) error {
	s, err := listenRTMP(ctx, b.rtmp.nal)
	if err != nil {
		return err
	}
	b.pushes += fmt.Sprintf("  rtmp: {camera: %s, url: \"rtmp://%s/live/%s\"}\n", name, s.listener.Addr(), name)
	b.all.Go(func() { b.rtmp.end(s.run(ctx)) })
	return nil
}

func (b *bench) startSRT(ctx context.Context, r *run) error {
	if v, _ := r.Library(); v == "" {
		return nil
	}
	s, err := r.ListenSRT("127.0.0.1:0")
	if err != nil {
		return err
	}
	b.pushes += fmt.Sprintf("  srt: {camera: %s, url: \"srt://%s?latency=60\"}\n", name, s.Addr())
	ts := newTSReader(b.srt.nal)
	b.all.Go(func() { b.srt.end(s.Run(ctx, ts.write)) })
	return nil
}

// configure writes the configuration; more are lines of cameras.
func (b *bench) configure(more string) error {
	text := fmt.Sprintf(`version: 1
access: {view: open}
rtsp: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
rtmp: {listen: ""}
srt: {listen: ""}
metrics: {listen: ""}
api: {listen: "", socket: api.sock}
box: {led: "", watchdog: ""}
hls: {segment: 1s, part: 200ms, window: 6s}
cameras:
  %s: {url: %q, transport: tcp}
%spushes:
%s`, name, b.cam.URL(name), more, b.pushes)
	next := b.file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, b.file)
}

// Patience with the pipeline.
const (
	warmWithin = 20 * time.Second
	flowWithin = 42 * time.Second // all ways out together: a slow box may need it for one
	flowLeast  = 5 * time.Second  // each of them
	looks      = 20 * time.Millisecond
)

// await asks the daemon until what it says pleases.
func (b *bench) await(ctx context.Context, within time.Duration, pleases func(*api.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(looks)
	defer tick.Stop()
	last := errors.New("it does not answer")
	for {
		st, err := status(ctx, b.socket)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			last = err
		case pleases(st):
			b.listeners = st.Listeners
			return nil
		default:
			last = fmt.Errorf("after %v: %v", within, ailing(st))
		}
		select {
		case <-tick.C:
		case <-b.ended:
			return fmt.Errorf("the daemon has ended: %w", b.err)
		case <-ctx.Done():
			return last
		}
	}
}

// warm tells whether n cameras are.
func warm(n int) func(*api.Status) bool {
	return func(st *api.Status) bool {
		count := 0
		for _, c := range st.Cameras {
			if c.Health.Warm {
				count++
			}
		}
		return count >= n
	}
}

// checkCamera starts the daemon, and waits until the camera is warm.
func checkCamera(ctx context.Context, r *run) Result {
	began := time.Now()
	b, err := r.start(ctx)
	if err != nil {
		b.close()
		return result(Fail, "cannot begin: %v", err)
	}
	if err := b.await(ctx, warmWithin, warm(1)); err != nil {
		b.close()
		return result(Fail, "the synthetic camera does not become warm: %v", err)
	}
	r.bench = b
	d := time.Since(began)
	res := result(OK, "a synthetic camera of 720 lines is warm after %.1f s", d.Seconds())
	res.Values = map[string]float64{"warm_seconds": d.Seconds()}
	return res
}

// watch plays one way out, and judges what comes.
func (r *run) watch(ctx context.Context, what string, play func(ctx context.Context, got func([]byte)) error) Result {
	if r.bench == nil {
		return result(Skip, "there is no camera")
	}
	t := newTally(r.bench.ledger)
	ctx, cancel := context.WithCancel(ctx)
	var playing sync.WaitGroup
	playing.Go(func() { t.end(play(ctx, t.nal)) })
	res := r.judge(ctx, t, what)
	cancel()
	playing.Wait()
	return res
}

// enough is what has to come.
const (
	enoughFrames = 40
	enoughKeys   = 2
)

// judge takes of the patience for all ways out what t needs, at most two thirds.
func (r *run) judge(ctx context.Context, t *tally, what string) Result {
	began := time.Now()
	res := t.judge(ctx, max(flowLeast, (flowWithin-r.waited)*2/3), what)
	r.waited += time.Since(began)
	return res
}

// judge waits until enough has come, and says what it is worth.
func (t *tally) judge(ctx context.Context, within time.Duration, what string) Result {
	limit := time.NewTimer(within)
	defer limit.Stop()
	for c := t.count(); c.frames < enoughFrames || c.keys < enoughKeys; c = t.count() {
		if c.err != nil {
			return result(Fail, "%s ends after %d pictures: %v", what, c.frames, c.err)
		}
		select {
		case <-t.arrived:
		case <-limit.C:
			return result(Fail, "%s brings %d pictures and %d key frames in %v", what, c.frames, c.keys,
				within.Round(time.Second))
		case <-ctx.Done():
			return result(Fail, "stopped")
		}
	}
	t.settle(time.Second / 2)
	c := t.count()
	if c.foreign > 0 {
		return result(Fail, "%s damages %d of %d pictures", what, c.foreign, c.frames)
	}
	res := result(OK, "%d pictures, %d of them key frames, all as sent; latency %s, at most %s",
		c.frames, c.keys, ms(c.median), ms(c.worst))
	res.Values = map[string]float64{
		"pictures": float64(c.frames), "key_frames": float64(c.keys), "latency_median_seconds": c.median.Seconds(),
		"latency_max_seconds": c.worst.Seconds(),
	}
	return res
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

func checkRTSP(ctx context.Context, r *run) Result {
	return r.watch(ctx, "RTSP", func(ctx context.Context, got func([]byte)) error {
		return playRTSP(ctx, "rtsp://"+r.bench.listeners["rtsp"]+"/"+name, got)
	})
}

func checkHLS(ctx context.Context, r *run) Result {
	return r.watch(ctx, "HLS", func(ctx context.Context, got func([]byte)) error {
		return playHLS(ctx, "http://"+r.bench.listeners["http"]+"/"+name+"/index.m3u8", got)
	})
}

func checkRTMP(ctx context.Context, r *run) Result {
	if r.bench == nil {
		return result(Skip, "there is no camera")
	}
	return r.judge(ctx, r.bench.rtmp, "a push by RTMP")
}

func checkSRT(ctx context.Context, r *run) Result {
	switch v, _ := r.Library(); {
	case r.bench == nil:
		return result(Skip, "there is no camera")
	case v == "":
		return result(Skip, "this program was built without SRT")
	}
	return r.judge(ctx, r.bench.srt, "a push by SRT")
}
