package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/daemon/api"
)

// TestFlap lets four cameras that only keepalives want flap by a seeded
// schedule, restarts the daemon and edits the cameras meanwhile. While a camera
// is up and its allowance after an outage has passed, it is warm.
func TestFlap(t *testing.T) {
	f := &flap{t: t, rounds: 3, restarts: 1, edits: 4, up: 4 * time.Second, down: 3 * time.Second}
	if long := os.Getenv(soakEnv); long != "" {
		d, err := time.ParseDuration(long)
		if err != nil {
			t.Fatal(err)
		}
		// 200 outages, 5 restarts and 20 edits at the least within the time given.
		f.rounds, f.restarts, f.edits = 50, 5, 20
		f.up, f.down = d/90, d/110
	}
	f.run()
}

// flap is one such test.
type flap struct {
	t                       testing.TB
	rounds, restarts, edits int           // outages of each camera; of all
	up, down                time.Duration // mean of the times between outages and of outages

	box  *box
	cams [4]*flapCam

	mu    sync.Mutex // guards what follows
	stamp int        // of the last edit
	quiet time.Time  // the daemon restarts, or has just done so, until then
}

// flapCam is one camera and how warm it was.
type flapCam struct {
	*fakeCam

	name string
	url  string // as configured
	id   string // of its keepalive

	mu         sync.Mutex // guards what follows
	up         bool
	judged     time.Time // from then on the camera is to be warm
	warm, cold time.Duration
	outages    int
	longest    time.Duration // of coldness in one go
	coldFor    time.Duration
}

// grace is the allowance beyond the retry interval.
const grace = 2 * time.Second

func (f *flap) run() {
	for i := range f.cams {
		cam := startFakeCam(f.t)
		f.cams[i] = &flapCam{
			fakeCam: cam, name: fmt.Sprintf("cam%d", i+1), url: cam.url("cam1"), up: true,
			judged: time.Now().Add(20 * time.Second),
		}
	}
	f.box = startBox(f.t, f.config())
	for _, c := range f.cams {
		c.id = f.box.call("POST", "/v3/paths/keepalive/add/"+c.name, "").want(200).str("id")
	}
	for _, c := range f.cams {
		f.box.awaitActive(c.name)
		c.allow(0)
	}
	stop := make(chan struct{})
	var watch, play sync.WaitGroup
	watch.Go(func() { f.watch(stop) })
	for i, c := range f.cams {
		play.Go(func() { f.play(c, rand.New(rand.NewPCG(7, uint64(i)))) })
	}
	f.disturb()
	play.Wait()
	for _, c := range f.cams {
		eventually(f.t, 30*time.Second, c.name+" is warm in the end", func() error {
			if !f.warm()[c.name] {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}
	close(stop)
	watch.Wait()
	f.judge()
}

func (f *flap) config() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	b.WriteString("version: 1\naccess: {view: open}\ndefaults: {keep: ondemand, transport: tcp}\ncameras:\n")
	for _, c := range f.cams {
		fmt.Fprintf(&b, "  %s: {url: \"%s\"}\n", c.name, c.url)
	}
	return b.String()
}

// status is the daemon's, nil while it does not answer.
func (f *flap) status() *api.Status {
	res, err := f.box.client.Get("http://box/v1/status")
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var st api.Status
	if json.NewDecoder(res.Body).Decode(&st) != nil {
		return nil
	}
	return &st
}

// warm tells of each camera whether it is: key frames keep coming. A GOP lasts 1 s.
func (f *flap) warm() map[string]bool {
	all := make(map[string]bool)
	if st := f.status(); st != nil {
		for _, c := range st.Cameras {
			all[c.Name] = c.State == "active" && c.LastKeyAge != nil && *c.LastKeyAge < 2
		}
	}
	return all
}

// watch takes samples until stop is closed.
func (f *flap) watch(stop <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		began := time.Now()
		warm := f.warm()
		now := time.Now()
		f.mu.Lock()
		quiet := f.quiet
		f.mu.Unlock()
		for _, c := range f.cams {
			c.sample(warm[c.name], began, now.Sub(last), quiet)
		}
		last = now
	}
}

// sample enters that the camera has been warm or not for d up to now.
func (c *flapCam) sample(warm bool, at time.Time, d time.Duration, quiet time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.up || at.Before(c.judged) || at.Before(quiet):
		c.coldFor = 0
	case warm:
		c.warm += d
		c.coldFor = 0
	default:
		c.cold += d
		c.coldFor += d
		c.longest = max(c.longest, c.coldFor)
	}
}

// lose begins an outage.
func (c *flapCam) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = false
	c.outages++
}

// allow says that the camera is up, and is to be warm after the retry interval
// and the grace.
func (c *flapCam) allow(retry time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = true
	c.judged = time.Now().Add(retry + grace)
}

// play lets one camera flap.
func (f *flap) play(c *flapCam, rnd *rand.Rand) {
	spread := func(mean time.Duration) time.Duration { return mean/2 + time.Duration(rnd.Int64N(int64(mean))) }
	for range f.rounds {
		waitFor(f.t, spread(f.up))
		c.lose()
		switch rnd.IntN(4) {
		case 0: // a power cut
			c.off()
			waitFor(f.t, spread(f.down))
			c.on()
		case 1: // it hangs with its sockets open
			c.srv.Freeze(true)
			waitFor(f.t, spread(f.down))
			c.srv.Freeze(false)
		case 2: // a short power cut: it refuses, and is back
			c.off()
			waitFor(f.t, 200*time.Millisecond)
			c.on()
		case 3: // it answers late after a power cut
			c.off()
			waitFor(f.t, spread(f.down)/2)
			c.on()
			c.srv.Freeze(true)
			waitFor(f.t, spread(f.down)/2)
			c.srv.Freeze(false)
		}
		c.allow(f.retry(c.name))
	}
}

// retry returns how long it is until the camera is tried again: the pause that
// runs, or what an attempt that is under way has left of its time.
func (f *flap) retry(name string) time.Duration {
	const attempt = 10 * time.Second // of one step of an attempt
	st := f.status()
	if st == nil {
		return attempt
	}
	for _, c := range st.Cameras {
		if c.Name != name {
			continue
		}
		if c.NextRetryAt != nil {
			return max(0, time.Until(*c.NextRetryAt))
		}
		if c.State != "active" {
			return attempt
		}
	}
	return 0
}

// disturb restarts the daemon and edits its cameras while they flap.
func (f *flap) disturb() {
	rnd := rand.New(rand.NewPCG(8, 8))
	total := time.Duration(f.rounds) * (f.up + f.down)
	acts := slices.Concat(slices.Repeat([]string{"restart"}, f.restarts), slices.Repeat([]string{"edit"}, f.edits))
	rnd.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	for _, act := range acts {
		waitFor(f.t, total/time.Duration(len(acts)+1))
		f.mu.Lock()
		f.quiet = time.Now().Add(time.Hour)
		f.mu.Unlock()
		if act == "restart" {
			f.box.restart(f.box.kill9)
		} else {
			f.mu.Lock()
			f.stamp++
			c := f.cams[f.stamp%len(f.cams)]
			c.url = fmt.Sprintf("%s?edit=%d", c.fakeCam.url("cam1"), f.stamp)
			f.mu.Unlock()
			f.box.write(f.config())
		}
		f.mu.Lock()
		f.quiet = time.Now().Add(grace + 500*time.Millisecond)
		f.mu.Unlock()
	}
}

// judge compares what was with what was promised.
func (f *flap) judge() {
	outages := 0
	var warm, cold time.Duration
	for _, c := range f.cams {
		f.t.Logf("%s: %d outages, warm %v, cold %v, at most %v in one go", c.name, c.outages, c.warm, c.cold, c.longest)
		outages += c.outages
		warm += c.warm
		cold += c.cold
		got := f.box.call("GET", "/v3/paths/keepalive/get/"+c.id, "")
		if got.want(200).str("path") != c.name {
			f.t.Errorf("keepalive %s: %s", c.id, got.text)
		}
	}
	share := float64(warm) / float64(warm+cold)
	f.t.Logf("%d outages, %d restarts, %d edits: warm %.3f %% of the time they were up",
		outages, f.restarts, f.edits, 100*share)
	if share < 0.999 {
		f.t.Errorf("warm %.3f %% of the time they were up, want 99.9 %%", 100*share)
	}
	if n := f.box.call("GET", "/v3/paths/keepalive/list", "").at("itemCount"); n != float64(len(f.cams)) {
		f.t.Errorf("%v keepalives, want %d", n, len(f.cams))
	}
}
