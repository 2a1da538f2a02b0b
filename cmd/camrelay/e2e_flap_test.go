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
	t.Parallel() // it waits most of the time
	f := &flap{t: t, rounds: 3, restarts: 1, edits: 4, up: 6 * time.Second, down: 3 * time.Second}
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

	stamp int // of the last edit

	mu sync.Mutex // guards the URLs of the cameras
}

// flapCam is one camera and how warm it was.
type flapCam struct {
	*fakeCam

	name string
	url  string // as configured
	id   string // of its keepalive

	mu         sync.Mutex // guards what follows
	up         bool
	since      time.Time     // of up
	judged     time.Time     // from then on the camera is to be warm
	quiet      time.Time     // until then its own configuration, or the daemon, is replaced
	warm, cold time.Duration // of the time in which it is judged
	powered    time.Duration // how long it was up
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
			if age := f.keys()[c.name]; !isWarm(age) {
				return fmt.Errorf("the last key frame came %v ago", age)
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

// never is the age of a key frame that there is not.
const never = time.Hour

// keys returns the age of the newest key frame of each camera that is active. A
// GOP lasts 1 s.
func (f *flap) keys() map[string]time.Duration {
	all := make(map[string]time.Duration)
	for _, c := range f.cams {
		all[c.name] = never
	}
	if st := f.status(); st != nil {
		for _, c := range st.Cameras {
			if c.State == "active" && c.LastKeyAge != nil {
				all[c.Name] = time.Duration(*c.LastKeyAge * float64(time.Second))
			}
		}
	}
	return all
}

// isWarm tells whether key frames keep coming, by the age of the newest.
func isWarm(age time.Duration) bool { return age < 2*time.Second }

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
		keys := f.keys()
		now := time.Now()
		for _, c := range f.cams {
			c.sample(keys[c.name], began, now.Sub(last))
		}
		last = now
	}
}

// sample enters that the newest key frame had that age, for d up to now. A
// camera that is back before it is to be is judged from then on.
func (c *flapCam) sample(age time.Duration, at time.Time, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up {
		c.powered += d
	}
	if isWarm(age) && age < at.Sub(c.since) && at.Before(c.judged) {
		c.judged = at
	}
	switch {
	case !c.up || at.Before(c.judged) || at.Before(c.quiet):
		c.coldFor = 0
	case isWarm(age):
		c.warm += d
		c.coldFor = 0
	default:
		c.cold += d
		c.coldFor += d
		c.longest = max(c.longest, c.coldFor)
	}
}

// hush forgives the camera until t.
func (c *flapCam) hush(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = t
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
	c.up, c.since = true, time.Now()
	c.judged = c.since.Add(retry + grace)
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
		if act == "restart" {
			f.disturbed(f.cams[:], func() { f.box.restart(f.box.kill9) })
			continue
		}
		f.stamp++
		c := f.cams[f.stamp%len(f.cams)]
		f.disturbed([]*flapCam{c}, func() {
			f.mu.Lock()
			c.url = fmt.Sprintf("%s?edit=%d", c.fakeCam.url("cam1"), f.stamp)
			f.mu.Unlock()
			f.box.write(f.config())
		})
	}
}

// disturbed does what disturbs some cameras, and forgives them alone.
func (f *flap) disturbed(cams []*flapCam, act func()) {
	for _, c := range cams {
		c.hush(time.Now().Add(time.Hour))
	}
	act()
	for _, c := range cams {
		c.hush(time.Now().Add(grace + 500*time.Millisecond))
	}
}

// judge compares what was with what was promised.
func (f *flap) judge() {
	outages := 0
	var warm, cold, powered time.Duration
	for _, c := range f.cams {
		f.t.Logf("%s: %d outages, warm %v, cold %v, at most %v in one go", c.name, c.outages, c.warm, c.cold, c.longest)
		outages += c.outages
		warm += c.warm
		cold += c.cold
		powered += c.powered
		got := f.box.call("GET", "/v3/paths/keepalive/get/"+c.id, "")
		if got.want(200).str("path") != c.name {
			f.t.Errorf("keepalive %s: %s", c.id, got.text)
		}
	}
	judged := warm + cold
	f.t.Logf("%d outages, %d restarts, %d edits: up for %v, judged for %v of it",
		outages, f.restarts, f.edits, powered, judged)
	// A test that forgives most of the time shows nothing.
	if judged == 0 || judged < powered/2 {
		f.t.Fatalf("judged for %v of the %v for which they were up, want half of it", judged, powered)
	}
	share := float64(warm) / float64(judged)
	f.t.Logf("warm %.3f %% of the time", 100*share)
	if share < 0.999 {
		f.t.Errorf("warm %.3f %% of the time they were up, want 99.9 %%", 100*share)
	}
	if n := f.box.call("GET", "/v3/paths/keepalive/list", "").at("itemCount"); n != float64(len(f.cams)) {
		f.t.Errorf("%v keepalives, want %d", n, len(f.cams))
	}
}
