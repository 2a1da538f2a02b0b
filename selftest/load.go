package selftest

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media/testcam"
)

// How the load is measured.
const (
	loadCameras = 6
	loadTime    = 3 * time.Second
)

// load is what cameras cost.
type load struct {
	perCamera float64 // CPU seconds per second of a camera at rate
	rate      float64 // bit/s
}

// checkLoad measures what a camera costs that is kept warm and packaged for HLS.
// The synthetic camera is in the same process: what it costs to be watched is
// measured first, by readers whose own cost is that of their threads.
func checkLoad(ctx context.Context, r *run) Result {
	switch {
	case r.bench == nil:
		return result(Skip, "there is no camera")
	case r.Quick:
		return result(Skip, "not with --quick")
	}
	b := r.bench
	cam := testcam.New(testcam.Config{
		Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Path: "load", Height: 1080, Silent: true}},
	}, slog.New(slog.DiscardHandler))
	if err := cam.Listen(); err != nil {
		return result(Fail, "cannot begin: %v", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = cam.Run(ctx) })
	defer running.Wait()
	defer stop()
	url := cam.URL("load")
	camera, rate, err := cameraCost(ctx, url)
	if err != nil {
		return result(Fail, "cannot watch the synthetic cameras: %v", err)
	}
	var lines strings.Builder
	for i := range loadCameras {
		fmt.Fprintf(&lines, "  load%d: {url: %q, transport: tcp}\n", i, url)
	}
	before, err := cpuOver(ctx, loadTime) // with the one camera, and the other that nobody watches
	if err != nil {
		return result(Fail, "%v", err)
	}
	if err := b.configure(lines.String()); err != nil {
		return result(Fail, "cannot add cameras: %v", err)
	}
	if err := b.await(ctx, warmWithin, warm(1+loadCameras)); err != nil {
		return result(Fail, "%d cameras do not become warm: %v", loadCameras, err)
	}
	after, err := cpuOver(ctx, loadTime)
	if err != nil {
		return result(Fail, "%v", err)
	}
	r.load = load{max(0.0002, (after-before)/loadCameras-camera), rate}
	res := result(OK, "a camera of %.1f Mbit/s, warm and packaged for HLS, takes %.1f ms of CPU per second",
		rate/1e6, r.load.perCamera*1000)
	res.Values = map[string]float64{
		"camera_bits_per_second": rate, "cpu_seconds_per_camera_second": r.load.perCamera,
	}
	return res
}

// cpuOver returns the CPU seconds per second that this process takes.
func cpuOver(ctx context.Context, d time.Duration) (float64, error) {
	first, err := cpuTime(unix.RUSAGE_SELF)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	last, err := cpuTime(unix.RUSAGE_SELF)
	return (last - first).Seconds() / time.Since(began).Seconds(), err
}

// cpuTime returns what the process or the thread has taken.
func cpuTime(who int) (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		return 0, fmt.Errorf("cannot read the CPU's time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// cameraCost returns what it costs the synthetic camera to be watched by one, in
// CPU seconds per second, and what it sends in bit/s.
func cameraCost(ctx context.Context, url string) (cost, rate float64, err error) {
	idle, err := cpuOver(ctx, loadTime/2)
	if err != nil {
		return 0, 0, err
	}
	watching, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	var bytes, spent atomic.Int64
	failed := make(chan error, loadCameras)
	for range loadCameras {
		readers.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			if err := playRTSP(watching, url, func(nal []byte) { bytes.Add(int64(len(nal))) }); watching.Err() == nil {
				failed <- err
			}
			if d, err := cpuTime(unix.RUSAGE_THREAD); err == nil {
				spent.Add(int64(d))
			}
		})
	}
	began, sent := time.Now(), bytes.Load()
	busy, err := cpuOver(ctx, loadTime)
	wall := time.Since(began).Seconds()
	rate = float64(bytes.Load()-sent) * 8 / wall / loadCameras
	stop()
	readers.Wait()
	select {
	case err = <-failed:
	default:
	}
	own := time.Duration(spent.Load()).Seconds() / wall
	return max(0, (busy-idle-own)/loadCameras), rate, err
}

// Shares of what the box has that cameras may take.
const (
	cpuShare  = 0.7
	linkShare = 0.8
)

// checkCapacity reckons how many cameras this box carries, and by what they are
// bounded.
func checkCapacity(_ context.Context, r *run) Result {
	if r.load.rate == 0 {
		return result(Skip, "the load was not measured")
	}
	// The bytes and the wake-ups cost about the same at this rate: what a camera
	// costs grows by half as much as its rate.
	cost := r.load.perCamera * (1 + (cameraRate/r.load.rate-1)/2)
	most, bound := cpuShare*float64(runtime.NumCPU())/cost, "the CPU"
	lower := func(n float64, what string) {
		if n < most {
			most, bound = n, what
		}
	}
	for _, l := range r.report.Links {
		if l.Physical && l.Up() && l.Mbits > 0 {
			lower(linkShare*float64(l.Mbits)*1e6/cameraRate, "the link "+l.Name)
		}
	}
	window, segment := 14*time.Second, 2*time.Second
	if r.conf != nil {
		window, segment = r.conf.HLS.Window, r.conf.HLS.Segment
	}
	if m := r.report.Memory; m.Available > 0 {
		// Segments, and two groups of pictures in each of two logs.
		each := windowBytes(window, segment) + 4*2*cameraRate/8
		lower(cpuShare*float64(m.Available)/float64(each), "the memory")
	}
	res := result(OK, "about %d cameras of 4 Mbit/s, kept warm and packaged for HLS; bound by %s", int(most), bound)
	res.Values = map[string]float64{"cameras": float64(int(most))}
	if r.conf != nil && len(r.conf.Cameras) > int(most) {
		res.Verdict = Warn
		res.Reason += fmt.Sprintf("; the configuration has %d", len(r.conf.Cameras))
	}
	return res
}
