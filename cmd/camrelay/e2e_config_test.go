package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/daemon/config"
)

// TestConfigEdits changes the file a hundred times, some of them for the
// worse, while somebody watches a camera that is in it all the time.
func TestConfigEdits(t *testing.T) {
	cams, rtmp := startGstCams(t, "0"), startRTMPSink(t)
	base := fmt.Sprintf(`version: 1
access: {view: open}
hls: {window: 60s}
cameras:
  watched: {url: "%s"}
`, cams.url("/h264"))
	b := startBox(t, base+fmt.Sprintf("pushes:\n  keeps: {camera: watched, url: \"%s\"}\n", rtmp.url("keeps")))
	b.awaitActive("watched")
	b.awaitPush("keeps", "active")
	viewer := startLongViewer(t, b.rtsp("watched"))
	eventually(t, time.Minute, "the viewer gets pictures", func() error { return more(viewer.frames(), 0) })
	push := fmt.Sprintf("pushes:\n  keeps: {camera: watched, url: \"%s\"}\n", rtmp.url("keeps"))
	for i := range 100 {
		edit := base
		if i%3 != 0 {
			edit += fmt.Sprintf("  other%d: {url: \"%s\", keep: ondemand}\n", i%7, cams.url("/video"))
		}
		edit += push
		if i%4 == 1 {
			edit += fmt.Sprintf("  more%d: {camera: watched, url: \"%s\"}\n", i%5, rtmp.url("more"))
		}
		if i%5 == 2 {
			edit = strings.Replace(edit, "url:", "ulr:", 1)
		}
		b.write(edit)
		waitFor(t, time.Duration(10+i%7*60)*time.Millisecond)
	}
	b.write(base + "  last: {url: \"" + cams.url("/video") + "\"}\n" + push)
	eventually(t, time.Minute, "the last file is in force", func() error {
		st, err := b.status()
		if err != nil {
			return err
		}
		var names []string
		for _, c := range st.Cameras {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != "last watched" || len(st.Pushes) != 1 || st.Config.State != "applied" {
			return fmt.Errorf("cameras %s, %d pushes, config %s", got, len(st.Pushes), st.Config.State)
		}
		return nil
	})
	if p, err := b.push("keeps"); err != nil || len(p.Transitions) > 2 {
		t.Errorf("the push that was never edited: %+v, %v", p.RunStatus, err)
	}
	if c, err := b.camera("watched"); err != nil || len(c.Transitions) > 2 || c.Lost != 0 {
		t.Errorf("the camera that was never edited: %+v, %v", c.RunStatus, err)
	}
	b.checkNoGap("watched")
	viewer.frames()
	b.stop()
	checkRecording(t, rtmp.recording("keeps"))
}

// TestBrokenConfigIsNamed breaks the file of a running daemon: it says where,
// and goes on.
func TestBrokenConfigIsNamed(t *testing.T) {
	cams := startGstCams(t, "0")
	good := fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  gate: {url: \"%s\"}\n", cams.url("/video"))
	b := startBox(t, good)
	b.awaitActive("gate")
	b.write(strings.Replace(good, "url:", "ulr:", 1))
	eventually(t, time.Minute, "the file is rejected", func() error {
		st, err := b.status()
		if err == nil && st.Config.State != "rejected" {
			err = fmt.Errorf("config %+v", st.Config)
		}
		if err == nil && !slices.ContainsFunc(st.Config.Errors, func(e *config.Error) bool {
			return e.Line == 4 && e.Column == 10 && strings.Contains(e.Message, "ulr")
		}) {
			t.Fatalf("the mistake is key ulr in line 4, column 10: %v", st.Config.Errors)
		}
		return err
	})
	if c, err := b.camera("gate"); err != nil || c.State != "active" {
		t.Errorf("the camera has suffered: %+v, %v", c.RunStatus, err)
	}
	b.write(good)
	eventually(t, time.Minute, "the file is in force again", func() error {
		st, err := b.status()
		if err == nil && st.Config.State != "applied" {
			err = fmt.Errorf("config %+v", st.Config)
		}
		return err
	})
}

// TestShutdown ends the daemon under load: exit 0 within 5 s, nothing left.
func TestShutdown(t *testing.T) {
	cams, rtmp, srt := startGstCams(t, "0"), startRTMPSink(t), startSRTSink(t)
	b := startBox(t, fmt.Sprintf(`version: 1
access: {view: open}
cameras:
  gate: {url: "%s"}
  gone: {url: "rtsp://127.0.0.1:%s/x"}
pushes:
  up-rtmp: {camera: gate, url: "%s"}
  up-srt: {camera: gate, url: "%s"}
  dead: {camera: gate, url: "srt://127.0.0.1:%s"}
`, cams.url("/h264"), freePort(t, "tcp"), rtmp.url("gate"), srt.url(), freePort(t, "udp")))
	b.awaitActive("gate")
	b.awaitPush("up-rtmp", "active")
	b.awaitPush("up-srt", "active")
	viewer := startLongViewer(t, b.rtsp("gate"))
	eventually(t, time.Minute, "the viewer gets pictures", func() error { return more(viewer.frames(), 0) })
	if _, err := b.playlist("gate/hls.m3u8"); err != nil {
		t.Error(err)
	}
	b.checkEnd()
	access, err := os.ReadFile(rtmp.dir + "/access.log")
	if err != nil || !strings.Contains(string(access), "PUBLISH") {
		t.Errorf("nginx has logged no publisher that left: %q, %v", access, err)
	}
	decode(t, time.Minute, "-i", rtmp.recording("gate"))
	if n := cams.requests("/h264", "TEARDOWN"); n != 1 {
		t.Errorf("the camera saw %d TEARDOWN, want 1", n)
	}
	// The media sequence goes on with the next start; hls.state is where it stands.
	err = filepath.WalkDir(b.runtime, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "hls.state" {
			t.Errorf("left in the runtime directory: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkEnd sends SIGTERM and fails unless the daemon exits with 0 in 5 s.
func (b *box) checkEnd() {
	b.t.Helper()
	asked := time.Now()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	select {
	case <-b.ended:
	case <-time.After(10 * time.Second):
		b.t.Fatal("still there 10 s after SIGTERM")
	}
	// The promise is 5 s; it is a bound on lost data, not a speed.
	if took := time.Since(asked); took > 5*time.Second {
		b.t.Errorf("ended %v after SIGTERM, want at most 5 s", took)
	}
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		b.t.Errorf("exit code %d, want 0", code)
	}
}

// TestShutdownAmongTheDead ends the daemon while nobody around it answers: the
// camera, both sinks and a viewer keep their sockets open and are silent.
func TestShutdownAmongTheDead(t *testing.T) {
	s := startWatched(t)
	for _, p := range []*os.Process{s.viewer.cmd.Process, s.srt.cmd.Process, s.cams.cmd.Process, s.rtmp.cmd.Process} {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Signal(syscall.SIGCONT) })
	}
	s.box.checkEnd()
}

// TestAPortInUseIsTriedAgain: it costs one line in the log, touches nothing
// else, and is mended by itself.
func TestAPortInUseIsTriedAgain(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := startBox(t, fmt.Sprintf("version: 1\nhttp: {listen: %q}\n", taken.Addr()))
	eventually(t, time.Minute, "the problem is shown", func() error {
		st, err := b.status()
		if err == nil && (len(st.Config.Problems) != 1 || !strings.HasPrefix(st.Config.Problems[0], "http: ")) {
			err = fmt.Errorf("problems %q", st.Config.Problems)
		}
		return err
	})
	waitFor(t, 11*time.Second) // it is tried each 5 s
	taken.Close()
	eventually(t, time.Minute, "it listens", func() error {
		st, err := b.status()
		if err == nil && (len(st.Config.Problems) > 0 || st.Listeners["http"] != taken.Addr().String()) {
			err = fmt.Errorf("problems %q, listeners %v", st.Config.Problems, st.Listeners)
		}
		return err
	})
	for line, want := range map[string]int{"level=ERROR": 1, "configuration applied": 1, "server=http": 2} {
		if n := strings.Count(b.log.String(), line); n != want {
			t.Errorf("%d lines with %q, want %d", n, line, want)
		}
	}
}
