package main

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// playlist fetches a media playlist.
func (b *box) playlist(path string) (string, error) {
	res, err := http.Get(b.http(path))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, res.Status)
	}
	return string(body), err
}

// checkNoGap fails if the playlist shows that something is missing.
func (b *box) checkNoGap(camera string) {
	b.t.Helper()
	list, err := b.playlist(camera + "/hls.m3u8")
	if err != nil || strings.Contains(list, "DISCONTINUITY\n") || strings.Contains(list, "EXT-X-GAP") {
		b.t.Errorf("%s: HLS shows a gap (%v):\n%s", camera, err, list)
	}
}

var mediaSequence = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)

// newestSegment returns the media sequence number of the last segment listed,
// and how many discontinuities the playlist has seen in all.
func newestSegment(playlist string) (msn, discontinuities int, err error) {
	m := mediaSequence.FindStringSubmatch(playlist)
	if m == nil {
		return 0, 0, fmt.Errorf("no media sequence in\n%s", playlist)
	}
	msn, err = strconv.Atoi(m[1])
	msn += strings.Count(playlist, "#EXTINF:") - 1
	if _, rest, ok := strings.Cut(playlist, "#EXT-X-DISCONTINUITY-SEQUENCE:"); ok {
		n, _, _ := strings.Cut(rest, "\n")
		discontinuities, err = strconv.Atoi(strings.TrimSpace(n))
	}
	discontinuities += strings.Count(playlist, "#EXT-X-DISCONTINUITY\n")
	return msn, discontinuities, err
}

// longViewer is an RTSP viewer that must never notice an outage.
type longViewer struct {
	t   testing.TB
	cmd *exec.Cmd
	out *mediatest.Log
	end chan error
}

func startLongViewer(t testing.TB, url string) *longViewer {
	t.Helper()
	v := &longViewer{t: t, out: &mediatest.Log{}, end: make(chan error, 1)}
	v.cmd = exec.Command("ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-timeout", "120000000",
		"-i", url, "-an", "-c", "copy", "-progress", "pipe:1", "-stats_period", "0.2", "-f", "null", "-")
	v.cmd.Stdout = v.out
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { v.end <- v.cmd.Wait() }()
	t.Cleanup(func() { v.cmd.Process.Kill() })
	return v
}

// frames returns how many pictures the viewer has got, and fails the test if
// it has ended.
func (v *longViewer) frames() int {
	v.t.Helper()
	select {
	case err := <-v.end:
		v.t.Fatalf("the RTSP viewer has ended: %v", err)
	default:
	}
	return lastInt(v.out.String(), "frame=")
}

// outage is one way for a camera to be away.
type outage struct {
	name   string
	rounds int
	away   time.Duration
	begin  func(*gstCams) *gstCams
	end    func(*gstCams) *gstCams
}

var outages = []outage{
	{
		name: "killed", rounds: 3, away: 5 * time.Second,
		begin: func(g *gstCams) *gstCams { g.kill(); return g },
		end:   func(g *gstCams) *gstCams { return startGstCams(g.t, g.port) },
	},
	{
		name: "frozen with its socket open", rounds: 2, away: 14 * time.Second,
		begin: func(g *gstCams) *gstCams { g.command("freeze /h264"); return g },
		end:   func(g *gstCams) *gstCams { g.command("thaw /h264"); return g },
	},
}

// TestCameraOutage takes the camera away again and again: the media sequence
// rises, viewers and pushes keep their connections, pictures flow again.
func TestCameraOutage(t *testing.T) {
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			runOutage(t, o)
		})
	}
}

// watchedSite is a camera that a viewer watches and that two pushes send on.
type watchedSite struct {
	cams   *gstCams
	rtmp   *rtmpSink
	srt    *srtSink
	box    *box
	viewer *longViewer
}

// startWatched returns once pictures flow.
func startWatched(t *testing.T) *watchedSite {
	t.Helper()
	s := &watchedSite{cams: startGstCams(t, "0"), rtmp: startRTMPSink(t), srt: startSRTSink(t)}
	s.box = startBox(t, fmt.Sprintf(`version: 1
access: {view: open}
cameras:
  gate: {url: "%s", transport: tcp}
pushes:
  up-rtmp: {camera: gate, url: "%s"}
  up-srt: {camera: gate, url: "%s"}
`, s.cams.url("/h264"), s.rtmp.url("gate"), s.srt.url()))
	s.box.awaitActive("gate")
	s.box.awaitPush("up-rtmp", "active")
	s.box.awaitPush("up-srt", "active")
	s.viewer = startLongViewer(t, s.box.rtsp("gate"))
	eventually(t, time.Minute, "the viewer gets pictures", func() error { return more(s.viewer.frames(), 0) })
	return s
}

func runOutage(t *testing.T, o outage) {
	site := startWatched(t)
	b := site.box
	rounds, away := o.rounds, o.away
	if soaking() {
		rounds, away = 10, 20*time.Second
	}
	connected := make(map[string]*time.Time)
	for _, name := range []string{"up-rtmp", "up-srt"} {
		p, err := b.push(name)
		if err != nil || p.ConnectedAt == nil {
			t.Fatalf("%s is not connected: %v", name, err)
		}
		connected[name] = p.ConnectedAt
	}
	for round := range rounds {
		outageRound(t, site, o, away, round)
	}
	for name, since := range connected {
		b.awaitPush(name, "active")
		p, err := b.push(name)
		if err != nil || p.ConnectedAt == nil || !p.ConnectedAt.Equal(*since) {
			t.Errorf("%s has lost its connection: %+v, %v", name, p, err)
		}
	}
}

func outageRound(t *testing.T, site *watchedSite, o outage, away time.Duration, round int) {
	t.Helper()
	b, viewer := site.box, site.viewer
	list, err := b.playlist("gate/hls.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	msn, disc, err := newestSegment(list)
	if err != nil {
		t.Fatal(err)
	}
	site.cams = o.begin(site.cams)
	waitFor(t, away)
	frames := viewer.frames()
	site.cams = o.end(site.cams)
	back := time.Now()
	backoff := b.backoff("gate")
	eventually(t, backoff+30*time.Second, "pictures flow to the RTSP viewer", func() error {
		return more(viewer.frames(), frames+10)
	})
	t.Logf("round %d: pictures %.1f s after the camera was back, of them %.1f s of backoff",
		round, time.Since(back).Seconds(), backoff.Seconds())
	eventually(t, 30*time.Second, "the playlist goes on", func() error {
		list, err := b.playlist("gate/hls.m3u8")
		if err != nil {
			return err
		}
		m, d, err := newestSegment(list)
		if m < msn {
			t.Fatalf("media sequence went back from %d to %d", msn, m)
		}
		if err == nil && d <= disc {
			err = fmt.Errorf("%d discontinuities, had %d:\n%s", d, disc, list)
		}
		return err
	})
}

// backoff returns how long it is until the camera is tried again.
func (b *box) backoff(camera string) time.Duration {
	b.t.Helper()
	c, err := b.camera(camera)
	if err != nil {
		b.t.Fatal(err)
	}
	if c.NextRetryAt == nil {
		return 0
	}
	return max(0, time.Until(*c.NextRetryAt))
}

// more is nil if n is larger than least.
func more(n, least int) error {
	if n > least {
		return nil
	}
	return fmt.Errorf("%d, want more than %d", n, least)
}

// waitFor lets the time pass that the test is about, such as an outage.
func waitFor(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// TestUpstreamOutage stops one sink and refuses another: nobody else of the
// same camera notices, both come back by themselves.
func TestUpstreamOutage(t *testing.T) {
	t.Parallel() // it waits most of the time
	cams, frozen, srt, well := startGstCams(t, "0"), startRTMPSink(t), startSRTSink(t), startRTMPSink(t)
	b := startBox(t, fmt.Sprintf(`version: 1
access: {view: open}
hls: {window: 60s}
cameras:
  gate: {url: "%s"}
pushes:
  frozen: {camera: gate, url: "%s", timeout: 5s}
  refused: {camera: gate, url: "%s"}
  well: {camera: gate, url: "%s"}
`, cams.url("/h264"), frozen.url("k"), srt.url(), well.url("k")))
	b.awaitActive("gate")
	for _, p := range []string{"frozen", "refused", "well"} {
		b.awaitPush(p, "active")
	}
	viewer := startLongViewer(t, b.rtsp("gate"))
	if err := frozen.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	srt.kill()
	b.awaitPush("frozen", "reconnecting")
	b.awaitPush("refused", "reconnecting")
	if p, err := b.push("well"); err != nil || p.State != "active" || p.Lost != 0 {
		t.Errorf("the push to the sink that is well: %+v, %v", p, err)
	}
	if err := frozen.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	srt.start()
	b.awaitPush("frozen", "active")
	b.awaitPush("refused", "active")
	viewer.frames()
	b.checkNoGap("gate")
	if c, err := b.camera("gate"); err != nil || c.Lost != 0 || len(c.Transitions) > 2 {
		t.Errorf("the camera's connection suffered: %+v, %v", c.RunStatus, err)
	}
	b.stop()
	checkRecording(t, well.recording("k"))
}

// checkRecording decodes a recording in which nothing may be missing.
func checkRecording(t *testing.T, file string) {
	t.Helper()
	decode(t, 2*time.Minute, "-i", file)
	checkSteady(t, file, probe(t, time.Minute, file).times(t, "video"), 0.04, 0.0025)
}
