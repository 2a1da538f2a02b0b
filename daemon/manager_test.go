package daemon

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
	"camrelay/systemd"
)

func TestStatusLine(t *testing.T) {
	camera := func(phase supervise.Phase, warm bool) cameraReport {
		return cameraReport{state: relay.Health{Warm: warm}, phase: phase}
	}
	warm, out, idle := camera(supervise.Active, true), camera(supervise.Reconnecting, false), camera(supervise.Idle, false)
	push := func(phase supervise.Phase) api.Push { return api.Push{State: supervise.State{Phase: phase}} }
	good := api.ConfigStatus{State: stateApplied, Generation: 41}
	for _, row := range []struct {
		name    string
		cameras []cameraReport
		pushes  []api.Push
		conf    api.ConfigStatus
		want    string
	}{
		{"nothing is configured", nil, nil, good, "no cameras, config #41"},
		{
			"a camera and a push are out",
			[]cameraReport{warm, warm, out},
			[]api.Push{push(supervise.Active), push(supervise.Failed)},
			good,
			"2/3 cameras warm, 1/2 pushes up, config #41",
		},
		{
			"what nobody wants is not missed",
			[]cameraReport{warm, idle, camera(supervise.Stopped, false)},
			[]api.Push{push(supervise.Active), push(supervise.Idle), push(supervise.Stopped)},
			good,
			"1/1 cameras warm, 2 idle, 1/1 pushes up, config #41",
		},
		{"all are idle", []cameraReport{idle}, nil, good, "1 idle, config #41"},
		{
			"an edit is rejected",
			[]cameraReport{warm},
			nil,
			api.ConfigStatus{State: stateRejected, Generation: 7},
			"1/1 cameras warm, config #7, the edit after it is rejected",
		},
		{
			"the first files are bad", nil, nil,
			api.ConfigStatus{State: stateRejected},
			"no cameras, config rejected, nothing runs",
		},
		{
			"a port is taken",
			[]cameraReport{warm},
			nil,
			api.ConfigStatus{State: stateApplied, Generation: 7, Problems: []string{"rtsp: in use"}},
			"1/1 cameras warm, config #7, rtsp: in use",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := statusLine(row.cameras, row.pushes, row.conf); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestVigilFindsWhatHangs(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(bytes uint64, busy bool) pulse {
		return pulse{"it", "camera gate", busy, mark{bytes, begin}, time.Minute}
	}
	for _, row := range []struct {
		name   string
		pulses []pulse // one each half minute
		want   bool
	}{
		{"it is new", []pulse{at(1, true)}, false},
		{"it moves", []pulse{at(1, true), at(2, true), at(3, true), at(4, true)}, false},
		{"it stands for less than its patience", []pulse{at(1, true), at(1, true)}, false},
		{"it stands", []pulse{at(1, true), at(1, true), at(1, true)}, true},
		{"it goes on after it stood", []pulse{at(1, true), at(1, true), at(1, true), at(2, true)}, false},
		{"it has nothing to do", []pulse{at(1, false), at(1, false), at(1, false)}, false},
		{"it had nothing to do", []pulse{at(1, true), at(1, false), at(1, true), at(1, true)}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := newVigil(nil)
			var got []string
			for i, p := range row.pulses {
				got = v.stuck([]pulse{p}, begin.Add(time.Duration(i)*30*time.Second))
			}
			if hangs := slices.Contains(got, "camera gate"); hangs != row.want {
				t.Errorf("hangs: %v, want %v", hangs, row.want)
			}
		})
	}
}

// TestLoopsOfOneNameDoNotHideEachOther: what hangs is seen beside what moves, and
// named in one order at each look.
func TestLoopsOfOneNameDoNotHideEachOther(t *testing.T) {
	v, begin := newVigil(nil), time.Unix(1000, 0)
	for i := range uint64(4) {
		pulses := []pulse{
			{1, "mpegts of camera gate", true, mark{bytes: i}, time.Minute},
			{2, "mpegts of camera gate", true, mark{bytes: 7}, time.Minute},
			{3, "mpegts of camera gate", true, mark{bytes: 9 + i}, time.Minute},
			{4, "hls of camera gate", true, mark{bytes: 7}, time.Minute},
		}
		if i%2 == 1 {
			slices.Reverse(pulses)
		}
		var want []string
		if i >= 2 {
			want = []string{"hls of camera gate", "mpegts of camera gate"}
		}
		if got := v.stuck(pulses, begin.Add(time.Duration(i)*30*time.Second)); !slices.Equal(got, want) {
			t.Errorf("look %d: %q hang, want %q", i, got, want)
		}
	}
}

// TestACameraMayStandAsLongAsItsSession: while stalled_after is long, a frozen camera
// is nothing that hangs.
func TestACameraMayStandAsLongAsItsSession(t *testing.T) {
	v, begin := newVigil(nil), time.Unix(1000, 0)
	frozen := camerasPulses([]cameraReport{{name: "gate", phase: supervise.Active}}, 5*time.Minute)
	for at, want := range map[time.Duration]int{0: 0, 5*time.Minute + 30*time.Second: 0, 6*time.Minute + time.Second: 1} {
		v.beats = map[any]beat{"camera gate": {frozen[0].mark, begin}}
		if got := v.stuck(frozen, begin.Add(at)); len(got) != want {
			t.Errorf("after %v: %q hang", at, got)
		}
	}
}

// TestAPushThatHangsIsNotAlive, also when it counts as starting again; one that has
// sent nothing yet may wait for a caller for ever.
func TestAPushThatHangsIsNotAlive(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.say("b:1935", errMute)
		r.plan("  a: {camera: gate, url: \"rtmp://a/live/k\"}\n  b: {camera: gate, url: \"rtmp://b/live/k\"}\n")
		r.pass(time.Minute)
		v := newVigil(nil)
		look := func() []string {
			var hung []string
			for range 32 {
				r.pass(30 * time.Second)
				hung = v.stuck(r.pulses(), time.Now())
			}
			return hung
		}
		if hung := look(); len(hung) > 0 {
			t.Errorf("%q hang", hung)
		}
		r.say("a:1935", errMute)
		if hung := look(); !slices.Equal(hung, []string{"push a"}) {
			t.Errorf("%q hang, want push a", hung)
		}
		r.say("a:1935", nil)
		r.pass(time.Minute)
		if hung := v.stuck(r.pulses(), time.Now()); len(hung) > 0 {
			t.Errorf("%q hang", hung)
		}
	})
}

func TestVigilLooksThreeTimesBeforeTheWatchdogBites(t *testing.T) {
	for usec, want := range map[string]time.Duration{
		"30000000": retryProblems, "3000000": time.Second, "": retryProblems,
	} {
		t.Setenv("NOTIFY_SOCKET", "/nowhere")
		t.Setenv("WATCHDOG_USEC", usec)
		m, err := systemd.New()
		if err != nil {
			t.Fatal(err)
		}
		v := newVigil(m)
		if got := v.period(); got != want {
			t.Errorf("with %q it looks each %v, want %v", usec, got, want)
		}
	}
}

// listen returns what a service manager in this process is told.
func listen(t *testing.T) <-chan string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "1500000")
	t.Setenv("WATCHDOG_PID", "")
	told := make(chan string, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			first, _, _ := strings.Cut(string(buf[:n]), "\n")
			told <- first
		}
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
	return told
}

// newManagedSite is newSite with a service manager, and what that is told.
func newManagedSite(t *testing.T, camera string) (s *site, told <-chan string) {
	t.Helper()
	told = listen(t)
	manager, err := systemd.New()
	if err != nil {
		t.Fatal(err)
	}
	s = newSite(t, camera)
	s.opts.Manager = manager
	return s, told
}

// expect waits until the manager is told something that begins with each of want,
// in this order, whatever comes between.
func expect(t *testing.T, told <-chan string, want ...string) {
	t.Helper()
	end := time.After(time.Minute)
	var all []string
	for _, w := range want {
		for {
			select {
			case got := <-told:
				all = append(all, got)
				if strings.HasPrefix(got, w) {
					break
				}
				continue
			case <-end:
				t.Fatalf("never told %q, but %q", w, all)
			}
			break
		}
	}
}

// TestTheServiceManagerIsTold runs the whole daemon below a service manager.
func TestTheServiceManagerIsTold(t *testing.T) {
	cam, camStop := demoCamera(t)
	defer camStop()

	s, told := newManagedSite(t, cam.URL("gate"))
	reload := make(chan os.Signal, 1)
	s.opts.Reload = reload
	text := read(t, s.opts.ConfigFile)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.opts.ConfigFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop := s.start(t)
	expect(t, told, "READY=1", "STATUS=1/1 cameras warm, 0/1 pushes up, config #1", "WATCHDOG=1")
	write("nonsense: 1\n")
	expect(t, told, "STATUS=1/1 cameras warm, 0/1 pushes up, config #1, the edit after it is rejected", "WATCHDOG=1")
	write(text + "  more: {camera: gate, url: \"srt://127.0.0.1:1?streamid=y\"}\n")
	reload <- os.Interrupt // whichever it is
	expect(t, told, "RELOADING=1", "READY=1", "STATUS=1/1 cameras warm, 0/2 pushes up, config #2", "WATCHDOG=1")
	stop()
	expect(t, told, "STOPPING=1")
}
