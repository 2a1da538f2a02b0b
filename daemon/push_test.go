package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// farEnd is a server of the tests: it takes media, refuses, or is silent.
type farEnd struct {
	mu       sync.Mutex // guards what follows
	answer   map[string]error
	sessions map[string][]time.Time
	open     map[string]int
}

// say makes a target answer err to all who come, and to those who are there; nil
// takes media.
func (f *farEnd) say(target string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer[target] = err
}

func (f *farEnd) count(target string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sessions[target])
}

func (f *farEnd) now(target string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[target]
}

func (f *farEnd) enter(target string, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > 0 {
		f.sessions[target] = append(f.sessions[target], time.Now())
	}
	f.open[target] += n
	return f.answer[target]
}

// errMute lets a session be connected without taking media.
var errMute = errors.New("mute")

// run is a target: it sends once a second for as long as it is let.
func (f *farEnd) run(ctx context.Context, spec targetSpec, _ *hub.Stream, p *media.Progress, _ *slog.Logger) error {
	f.enter(spec.remote, 1)
	defer f.enter(spec.remote, -1)
	for {
		switch err := f.enter(spec.remote, 0); {
		case err == nil:
			p.Sent(1000, 1, 0)
		case !errors.Is(err, errMute):
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pushRig is pushes in a bubble, with a camera that delivers.
type pushRig struct {
	*farEnd
	*pushes
	t      *testing.T
	camera chan bool // on, off

	mu     sync.Mutex // guards events
	events []string
}

// bubble runs f with pushes and a camera gate in a synctest bubble.
func bubble(t *testing.T, f func(r *pushRig)) {
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		r := &pushRig{t: t, camera: make(chan bool), farEnd: &farEnd{
			answer: make(map[string]error), sessions: make(map[string][]time.Time), open: make(map[string]int),
		}}
		sessions := session.NewRegistry(nil)
		broker := relay.New(relay.Config{Sessions: sessions, Access: auth.New(quiet)}, quiet)
		broker.Put("gate", relay.Policy{IdleAfter: time.Second})
		r.pushes = newPushes(broker, sessions, "test", r.observe, quiet)
		r.pushes.targets = map[string]target{"rtmp": r.farEnd.run}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { r.pull(ctx, broker.Path("gate")) })
		f(r)
		r.pushes.Close()
		cancel()
		all.Wait()
		broker.Drop("gate")
	})
}

// pull is the camera.
func (r *pushRig) pull(ctx context.Context, path *relay.Path) {
	_ = path.Pull(ctx, supervise.Policy{}, func(ctx context.Context, active func()) error {
		path.Stream().SetTracks([]*media.Track{{Kind: media.KindAudio, Codec: media.CodecPCMA}})
		active()
		select {
		case <-r.camera:
			return errors.New("power cut")
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (r *pushRig) observe(e pushEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e.name+" "+e.kind)
}

// pass lets time pass.
func (r *pushRig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// heard returns the kinds of the events of a push so far, and forgets them.
func (r *pushRig) heard(name string) string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		if kind, ok := strings.CutPrefix(e, name+" "); ok {
			all = append(all, kind)
		}
	}
	r.events = nil
	return strings.Join(all, " ")
}

// plan makes the pushes those of a configuration, whose section it is given.
func (r *pushRig) plan(section string) {
	r.t.Helper()
	cfg := parse(r.t, "version: 1\ncameras: {gate: {url: rtsp://c/, keep: ondemand}}\npushes:\n"+section)
	r.apply(planOf(cfg, "test").pushes, cfg.Cameras)
	synctest.Wait()
}

// status returns the push as the API has it.
func (r *pushRig) status(name string) api.Push {
	r.t.Helper()
	synctest.Wait()
	for _, p := range r.list() {
		if p.Name == name {
			return p
		}
	}
	r.t.Fatalf("there is no push %s", name)
	return api.Push{}
}

func (r *pushRig) wantPhase(name string, phase supervise.Phase) {
	r.t.Helper()
	if st := r.status(name).State; st.Phase != phase {
		r.t.Errorf("%s is %s (%s), want %s", name, st.Phase, st.Reason, phase)
	}
}

const one = "  up: {camera: gate, url: \"rtmp://a/live/key\"}\n"

func TestAPushThatGetsNoMediaIsNeverActive(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.say("a:1935", errMute)
		r.plan(one)
		time.Sleep(time.Hour)
		if st := r.status("up").State; st.Phase != supervise.Starting || !st.Connected.IsZero() || r.count("a:1935") != 1 {
			t.Errorf("%+v", st)
		}
		r.say("a:1935", nil)
		time.Sleep(2 * time.Second)
		st := r.status("up")
		if st.State.Phase != supervise.Active || st.State.Connected.IsZero() || st.Bytes != 2000 {
			t.Errorf("%+v", st)
		}
		if got := r.heard("up"); got != "started active" {
			t.Errorf("events %s", got)
		}
	})
}

func TestAPushWaitsForItsCamera(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", demand: false}\n")
		time.Sleep(time.Hour)
		st := r.status("up").State
		if st.Phase != supervise.Starting || !strings.HasPrefix(st.Reason, "waits for camera gate: ") || st.Attempt != 0 {
			t.Errorf("%+v", st)
		}
		if n := r.count("a:1935"); n != 0 {
			t.Errorf("the server saw %d connects", n)
		}
		r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", comment: now}\n")
		time.Sleep(3 * time.Second)
		r.wantPhase("up", supervise.Active)
	})
}

func TestOneOutageIsOneEventEach(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.plan(one)
		time.Sleep(2 * time.Minute)
		r.heard("up")
		r.say("a:1935", errors.New("closed by the server"))
		time.Sleep(10 * time.Minute)
		r.say("a:1935", nil)
		time.Sleep(2 * time.Minute)
		if got := r.heard("up"); got != "reconnecting active" {
			t.Errorf("events %s", got)
		}
		st := r.status("up").State
		if len(st.Errors) != 5 || st.Attempt != 0 || st.Lost.IsZero() || st.Connected.Before(st.Lost) {
			t.Errorf("after the outage: %+v", st)
		}
	})
}

func TestFailedStaysUntilRetryOrEdit(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.say("a:1935", errors.New("refused"))
		r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", limit: 2}\n")
		time.Sleep(time.Hour)
		st := r.status("up").State
		if st.Phase != supervise.Failed || st.Attempt != 2 || len(st.Errors) != 2 || r.count("a:1935") != 2 {
			t.Errorf("%+v, %d connects", st, r.count("a:1935"))
		}
		if st := r.relay.Path("gate").State(); st.Phase != supervise.Idle {
			t.Errorf("the camera is %s for a push that has failed", st.Phase)
		}
		if err := r.Retry("up"); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond)
		if st := r.status("up").State; r.count("a:1935") != 3 || st.Attempt != 1 {
			t.Errorf("after a retry %+v, %d connects", st, r.count("a:1935"))
		}
		time.Sleep(time.Hour)
		r.wantPhase("up", supervise.Failed)
		r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", limit: 3}\n")
		time.Sleep(time.Hour)
		if st := r.status("up"); st.State.Phase != supervise.Failed || st.Limit != 3 || r.count("a:1935") != 7 {
			t.Errorf("after an edit %+v, %d connects", st, r.count("a:1935"))
		}
	})
}

// TestEditsTouchOnlyWhatTheyChange edits every field of a push beside another.
func TestEditsTouchOnlyWhatTheyChange(t *testing.T) {
	const b = "  b: {camera: gate, url: \"rtmp://b/live/key\"}\n"
	for _, row := range []struct {
		name, edit string
		connects   int
		server     string
	}{
		{"the comment", "comment: x", 1, "a"},
		{"the priority", "priority: 7", 1, "a"},
		{"the limit", "limit: 3", 1, "a"},
		{"the longest pause", "retry: 5s", 1, "a"},
		{"the demand", "demand: false", 1, "a"},
		{"the platform", "platform: twitch", 1, "a"},
		{"a backup", "backup: {url: \"rtmp://c/live/key\"}", 1, "a"},
		{"the timeout", "timeout: 5s", 2, "a"},
		{"the sound", "audio: drop", 2, "a"},
		{"the stream key", "key: other", 2, "a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(r *pushRig) {
				r.plan(one + b)
				time.Sleep(2 * time.Minute)
				before, other := r.status("up"), r.status("b")
				r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", " + row.edit + "}\n" + b)
				time.Sleep(time.Minute)
				after := r.status("up")
				if r.count("a:1935") != row.connects || r.count("b:1935") != 1 ||
					r.status("b").State.Connected != other.State.Connected {
					t.Errorf("%d and %d connects", r.count("a:1935"), r.count("b:1935"))
				}
				if row.connects == 1 && after.State.Connected != before.State.Connected || after.Bytes < before.Bytes {
					t.Errorf("before %+v\nafter %+v", before, after)
				}
				if row.connects == 1 && r.heard("up") != "started active" {
					t.Error("events of an edit that changes nothing")
				}
			})
		})
	}
}

func TestARemovedPushIsGone(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.plan(one)
		time.Sleep(time.Minute)
		r.plan("  b: {camera: gate, url: \"rtmp://b/live/key\", enabled: false}\n")
		time.Sleep(time.Minute)
		if n := r.now("a:1935"); n != 0 || len(r.list()) != 1 {
			t.Errorf("%d sessions, %d listed", n, len(r.list()))
		}
		if st := r.status("b"); st.State.Phase != supervise.Idle || st.Enabled || r.count("b:1935") != 0 {
			t.Errorf("what is switched off is %+v", st)
		}
		r.plan("  b: {camera: gate, url: \"rtmp://b/live/key\"}\n")
		time.Sleep(3 * time.Second)
		r.wantPhase("b", supervise.Active)
	})
}

func TestPushesAtRunTime(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.plan(one)
		body := []byte(`{"camera": "gate", "url": "rtmp://b/live", "key": "hunter2", "priority": 3}`)
		if err := r.Add("extra", body); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if st := r.status("extra"); st.State.Phase != supervise.Active || st.File != "" || st.URL != "rtmp://b/live" {
			t.Errorf("%+v", st)
		}
		for name, want := range map[string]error{"extra": api.ErrPushExists, "up": api.ErrPushExists} {
			if err := r.Add(name, body); !errors.Is(err, want) {
				t.Errorf("adding %s: %v", name, err)
			}
		}
		if err := r.Add("up", body); err == nil || !strings.Contains(err.Error(), "test.yaml") {
			t.Errorf("it is not said which file names it: %v", err)
		}
		var wrong config.Errors
		if err := r.Add("x", []byte(`{"camera": "yard", "url": "rtmp://b/live/k"}`)); !errors.As(err, &wrong) {
			t.Errorf("a push of a camera that is not there: %v", err)
		}
		var owned *api.OwnedError
		if err := r.Remove("up", "alice"); !errors.As(err, &owned) || owned.File != "test.yaml" {
			t.Errorf("removing a file's push: %v", err)
		}
		r.plan(one + "  other: {camera: gate, url: \"rtmp://c/live/key\"}\n") // an edit leaves it alone
		if r.count("b:1935") != 1 {
			t.Error("an edit of the files has touched it")
		}
		if err := r.Remove("extra", "alice"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if len(r.list()) != 2 || r.now("b:1935") != 0 || !errors.Is(r.Remove("extra", "bob"), api.ErrNoPush) {
			t.Errorf("after its removal: %v", r.list())
		}
		if got := r.heard("extra"); got != "added started active removed" {
			t.Errorf("events %s", got)
		}
	})
}

func TestUnreachable(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	for _, row := range []struct {
		name string
		err  error
		want media.Class
	}{
		{"a name server that does not answer", &net.DNSError{IsTimeout: true}, media.ClassUnreachable},
		{"a name that there is not", &net.DNSError{IsNotFound: true}, media.ClassNetwork},
		{"no answer to a call", timeout, media.ClassUnreachable},
		{"a server that has closed", errors.New("EOF"), media.ClassNetwork},
		{"a refusal", media.Fail(media.ClassRefused, timeout), media.ClassRefused},
	} {
		if got := media.ClassOf(classified(row.err)); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
