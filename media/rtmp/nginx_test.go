package rtmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// nginx is a server with libnginx-mod-rtmp that records what is published.
type nginx struct {
	dir, address string
	cmd          *exec.Cmd
}

const nginxConf = `load_module %[1]s/ngx_rtmp_module.so;
daemon off; master_process off; user root; worker_processes 1; pid %[2]s/nginx.pid;
events { worker_connections 64; }
rtmp { access_log off; server { listen %[3]s;
  application live { live on; record all; record_path %[2]s; }
  application closed { live on; deny publish all; } } }
`

func startNginx(t testing.TB) *nginx {
	t.Helper()
	return startNginxOf(t, func(modules, dir, address string) string {
		return fmt.Sprintf(nginxConf, modules, dir, address)
	})
}

// startNginxOf starts nginx with the configuration that conf returns.
func startNginxOf(t testing.TB, configure func(modules, dir, address string) string) *nginx {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), "nginx", "-V").CombinedOutput()
	if err != nil {
		t.Fatalf("nginx is needed: %v", err)
	}
	modules := regexp.MustCompile(`--modules-path=(\S+)`).FindSubmatch(version)
	if modules == nil {
		t.Fatal("nginx does not tell where its modules are")
	}
	n := &nginx{dir: t.TempDir(), address: freeAddress(t)}
	conf, log := filepath.Join(n.dir, "nginx.conf"), filepath.Join(n.dir, "error.log")
	text := configure(string(modules[1]), n.dir, n.address)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.Command("nginx", "-e", log, "-p", n.dir, "-c", conf) // killed below
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		if text, _ := os.ReadFile(log); t.Failed() {
			t.Logf("nginx:\n%s", text)
		}
	})
	reachable(t, n.address)
	return n
}

// freeAddress returns an address that nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", mediatest.FreePort(t, "tcp"))
}

// reachable waits until somebody listens.
func reachable(t testing.TB, address string) {
	t.Helper()
	eventually(t, address+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// eventually waits until a condition holds that only other processes can tell.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not so after a minute: %s", what)
		}
	}
}

// play feeds a clip into a new stream until the test ends.
func play(t testing.TB, clip *mediatest.Clip, realtime bool) *hub.Stream {
	t.Helper()
	s := hub.NewStream("cam")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	packets := mediatest.NewPacketizer(t, clip.Tracks)
	wg.Go(func() {
		if err := mediatest.Feed(ctx, s, clip, packets, realtime); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait(); s.Close() })
	return s
}

var errStop = errors.New("stop")

// session runs Run and counts.
type running struct {
	progress *media.Progress
	active   chan struct{} // closed when media was sent
	stop     context.CancelCauseFunc
	end      chan error
}

func push(t testing.TB, spec Spec, s *hub.Stream) *running {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &running{active: make(chan struct{}), stop: cancel, end: make(chan error, 1)}
	r.progress = media.NewProgress(sync.OnceFunc(func() { close(r.active) }))
	go func() { r.end <- Run(ctx, spec, s, r.progress, slog.New(slog.DiscardHandler)) }()
	return r
}

// await fails the test unless media flows soon.
func (r *running) await(t testing.TB) {
	t.Helper()
	select {
	case <-r.active:
	case err := <-r.end:
		t.Fatalf("ended before media flowed: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("no media after a minute")
	}
}

// ended returns what Run returned.
func (r *running) ended(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.end:
		return err
	case <-time.After(time.Minute):
		t.Fatal("still running after a minute")
		return nil
	}
}

func (r *running) units() uint64 {
	_, units, _, _ := r.progress.Counts()
	return units
}

// recorded is one frame in an FLV file.
type recorded struct {
	kind media.Kind
	pts  time.Duration
	data []byte
}

// readFLV returns the frames in a file.
func readFLV(t *testing.T, path string) []recorded {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 13 {
		t.Fatalf("%d bytes recorded, %v", len(b), err)
	}
	var frames []recorded
	for b = b[13:]; len(b) > 0; {
		n := 11 + uint24(b[1:]) + 4
		if len(b) < n {
			t.Fatal("the recording is cut short")
		}
		ms, body := uint24(b[4:])|int(b[7])<<24, b[11:n-4]
		switch {
		case b[0] == byte(flv.Audio) && body[1] == 1:
			frames = append(frames, recorded{media.KindAudio, time.Duration(ms) * time.Millisecond, body[2:]})
		case b[0] == byte(flv.Video) && body[1] == 1:
			pts := time.Duration(ms+uint24(body[2:])) * time.Millisecond
			frames = append(frames, recorded{media.KindVideo, pts, body[5:]})
		}
		b = b[n:]
	}
	return frames
}

// checkRecording compares a recording with the clip: which unit the first
// picture is, the file tells; from there on everything must be there, at its
// time.
func checkRecording(t *testing.T, clip *mediatest.Clip, path string, sent uint64) {
	t.Helper()
	mediatest.Decodes(t, path)
	frames := readFLV(t, path)
	if uint64(len(frames)) != sent {
		t.Errorf("recorded %d frames, sent %d", len(frames), sent)
	}
	first := 0
	for !bytes.Equal(sample(clip.Unit(first)), frames[0].data) {
		if first++; first == clip.Round() {
			t.Fatal("the first recorded frame is not in the clip")
		}
	}
	base := clip.Unit(first).DTS
	left := map[media.Kind][]recorded{}
	for _, f := range frames {
		left[f.kind] = append(left[f.kind], f)
	}
	for i := first; len(left[media.KindVideo])+len(left[media.KindAudio]) > 0; i++ {
		u := clip.Unit(i)
		next := left[u.Track.Kind]
		if u.Track.Codec == media.CodecOpus || u.DTS < base || len(next) == 0 {
			continue
		}
		left[u.Track.Kind] = next[1:]
		if d := (u.PTS - base - next[0].pts).Abs(); d > time.Millisecond {
			t.Fatalf("%s recorded at %v, want %v", u.Track.Codec, next[0].pts, u.PTS-base)
		}
		if !bytes.Equal(next[0].data, sample(u)) {
			t.Fatalf("%s at %v is not what was sent", u.Track.Codec, next[0].pts)
		}
	}
}

// sample returns a unit as FLV has it, without the track's parameter sets.
func sample(u *media.Unit) []byte {
	if u.Track.Kind == media.KindAudio {
		return u.Data[0]
	}
	var nals [][]byte
	for _, n := range u.Data {
		if !bytes.Equal(n, u.Track.SPS) && !bytes.Equal(n, u.Track.PPS) && !codec.IsAUD(u.Track.Codec, n) {
			nals = append(nals, n)
		}
	}
	return codec.AppendAVCC(nil, nals)
}

func TestNginxRecordsEveryFrame(t *testing.T) {
	server := startNginx(t)
	for _, kind := range []mediatest.Kind{
		mediatest.H264AAC, mediatest.H264B, mediatest.H264BOnly, mediatest.H264Opus,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			clip := mediatest.MakeClip(t, kind)
			r := push(t, Spec{URL: "rtmp://" + server.address + "/live/" + string(kind) + "?a=b"}, play(t, clip, true))
			eventually(t, "100 units were sent", func() bool { return r.units() > 100 })
			r.stop(errStop)
			if err := r.ended(t); !errors.Is(err, errStop) {
				t.Fatalf("ended with %v", err)
			}
			checkRecording(t, clip, filepath.Join(server.dir, string(kind)+".flv"), r.units())
		})
	}
}

func TestFFmpegTakesThePush(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264B)
	address, out := freeAddress(t), filepath.Join(t.TempDir(), "out.flv")
	sink := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-v", "error", "-f", "flv", "-listen", "1",
		"-i", "rtmp://"+address+"/live/key", "-c", "copy", "-f", "flv", out)
	var text bytes.Buffer
	sink.Stderr = &text
	if err := sink.Start(); err != nil {
		t.Fatalf("ffmpeg is needed: %v", err)
	}
	s := play(t, clip, true)
	var r *running
	eventually(t, "ffmpeg listens", func() bool { // it takes one connection only, so there is no trying beforehand
		r = push(t, Spec{URL: "rtmp://" + address + "/live", Key: "key"}, s)
		select {
		case <-r.active:
			return true
		case <-r.end:
			return false
		}
	})
	eventually(t, "100 units were sent", func() bool { return r.units() > 100 })
	r.stop(errStop)
	if err := r.ended(t); !errors.Is(err, errStop) {
		t.Fatalf("ended with %v", err)
	}
	if err := sink.Wait(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, text.Bytes())
	}
	checkRecording(t, clip, out, r.units())
}

func TestAStoppedServerEndsTheSession(t *testing.T) {
	server := startNginx(t)
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := push(t, Spec{URL: "rtmp://" + server.address + "/live/key", Timeout: 2 * time.Second}, play(t, clip, false))
	r.await(t)
	if rtt := r.progress.RTT(); rtt <= 0 {
		t.Errorf("round trip time %v", rtt)
	}
	if err := server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := r.ended(t); !errors.Is(err, errStalled) {
		t.Fatalf("ended with %v", err)
	}
}

func TestAKilledServerEndsTheSession(t *testing.T) {
	server := startNginx(t)
	s := play(t, mediatest.MakeClip(t, mediatest.H264AAC), true)
	r := push(t, Spec{URL: "rtmp://" + server.address + "/live/key"}, s)
	r.await(t)
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.ended(t); err == nil || !strings.Contains(err.Error(), "closed the connection") {
		t.Fatalf("ended with %v", err)
	}
}

func TestNginxRefuses(t *testing.T) {
	server := startNginx(t)
	s := play(t, mediatest.MakeClip(t, mediatest.H264), true)
	first := push(t, Spec{URL: "rtmp://" + server.address + "/live/key"}, s)
	first.await(t)
	defer func() { first.stop(errStop); _ = first.ended(t) }()
	for name, tc := range map[string]struct {
		path  string
		class media.Class
	}{
		"a key that is in use":               {"live/key", media.ClassBusy},
		"an application that lets nobody in": {"closed/key", media.ClassBusy},
		"an application that does not exist": {"nowhere/key", media.ClassBusy},
	} {
		t.Run(name, func(t *testing.T) {
			r := push(t, Spec{URL: "rtmp://" + server.address + "/" + tc.path}, s)
			err := r.ended(t)
			if media.ClassOf(err) != tc.class {
				t.Errorf("%v: class %v, want %v", err, media.ClassOf(err), tc.class)
			}
			t.Log(err)
		})
	}
}
