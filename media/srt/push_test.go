//go:build cgo

package srt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/haivision/srtgo"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestASinkGetsEveryFrame plays against srt-live-transmit and reads its file
// with FFmpeg.
func TestASinkGetsEveryFrame(t *testing.T) {
	for _, tc := range []struct {
		kind  mediatest.Kind
		query string
		edit  func(*Spec)
	}{
		{mediatest.H264AAC, "", func(*Spec) {}},
		{mediatest.H264B, "", func(s *Spec) { s.Latency = 300 * time.Millisecond }},
		{mediatest.H265B, "&latency=400", func(*Spec) {}},
		{mediatest.H264Opus, "", func(*Spec) {}},
		{mediatest.AAC, "", func(*Spec) {}},
		{mediatest.H264, "&passphrase=a-long-secret", func(s *Spec) { s.Passphrase = "a-long-secret" }},
		{mediatest.H265AAC, "&passphrase=a-long-secret&pbkeylen=32", func(s *Spec) {
			s.Passphrase, s.PBKeyLen, s.StreamID = "a-long-secret", 32, "#!::r=cam,m=publish"
		}},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			t.Parallel()
			inTime(t, func() error { return pushToSink(t, tc.kind, tc.query, tc.edit) })
		})
	}
}

// pushToSink pushes for a while and tells what is wrong with what the sink got.
func pushToSink(t *testing.T, kind mediatest.Kind, query string, edit func(*Spec)) error {
	t.Helper()
	sink, cam := listen(t, query), play(t, kind)
	spec := sink.spec()
	edit(&spec)
	p := start(t, new(Caller).Run, spec, cam.stream)
	p.await()
	_, units, _, _ := p.progress.Counts()
	for units < 60 {
		<-p.active
		_, units, _, _ = p.progress.Counts()
	}
	cam.stop()
	last, _ := cam.stream.Units.LastStart()
	cam.stream.Close()
	if err := p.ends(giveUp); !errors.Is(err, hub.ErrEnded) {
		t.Errorf("ended with %v", err)
	}
	sink.ended()
	if _, _, lost, _ := p.progress.Counts(); lost > 0 {
		return fmt.Errorf("%d lost", lost)
	}
	return checkFile(t, sink.file, cam.clip, last)
}

// checkFile compares a recording with the clip: from a key frame on there must
// be every frame at its time, at least to the key frame last and what comes
// right after.
func checkFile(t *testing.T, file string, clip *mediatest.Clip, last *media.Unit) error {
	t.Helper()
	if err := mediatest.Decode(t.Context(), file); err != nil {
		return err
	}
	p := mediatest.Probe(t, file)
	for _, track := range clip.Tracks {
		got := p.Of(track.Kind.String())
		if len(got) < 10 {
			return fmt.Errorf("%d frames of %s", len(got), track.Kind)
		}
		if track.Kind == media.KindVideo && !got[0].Key() {
			return errors.New("the first picture is not a key frame")
		}
		i := 0
		for n := 0; i < len(got); n++ {
			u := clip.Unit(n)
			if u.Track.ID != track.ID {
				continue
			}
			want, is := u.PTS.Seconds()+0.1, secs(t, got[i].PTS)
			switch {
			case math.Abs(is-want) < 0.00002:
				i++
			case i > 0 || is < want:
				return fmt.Errorf("%s frame %d is at %f, want %f", track.Kind, i, is, want)
			}
		}
		if end := secs(t, got[i-1].PTS); end < last.PTS.Seconds() {
			return fmt.Errorf("%s ends at %f, before the last key frame at %v", track.Kind, end, last.PTS)
		}
	}
	return nil
}

func secs(t *testing.T, s string) float64 {
	t.Helper()
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d.Seconds()
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name  string
		query string // of the listener
		pass  media.Secret
		text  string
	}{
		{"another passphrase", "&passphrase=the-right-secret", "the-wrong-secret", "wrong passphrase"},
		{"a passphrase is missing", "&passphrase=the-right-secret", "", "the other has none (reason 11)"},
		{"a passphrase nobody asks for", "", "the-wrong-secret", "the other has none (reason 11)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sink, cam := listen(t, tc.query), play(t, mediatest.H264)
			spec := sink.spec()
			spec.Passphrase = tc.pass
			err := start(t, new(Caller).Run, spec, cam.stream).ends(giveUp)
			if media.ClassOf(err) != media.ClassCredentials || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, class %s", err, media.ClassOf(err))
			}
			if strings.Contains(err.Error(), "-secret") {
				t.Errorf("%v holds the secret", err)
			}
		})
	}
}

// TestAListenerSaysWhy refuses callers with a code of its own, by their streamid.
func TestAListenerSaysWhy(t *testing.T) {
	cam := play(t, mediatest.H264)
	for _, tc := range []struct {
		code  int
		class media.Class
		text  string
	}{
		{1403, media.ClassCredentials, "the upstream refuses this streamid (reason 1403)"},
		{1409, media.ClassBusy, "the upstream has a publisher of this streamid already (reason 1409)"},
		{1777, media.ClassNetwork, "(reason 1777)"},
	} {
		port := freePort(t)
		l := srtgo.NewSrtSocket("127.0.0.1", port, map[string]string{"blocking": "1", "mode": "listener"})
		asked := make(chan string, 10)
		l.SetListenCallback(func(s *srtgo.SrtSocket, _ int, _ *net.UDPAddr, id string) bool {
			asked <- id
			_ = s.SetRejectReason(tc.code)
			return false
		})
		if err := l.Listen(1); err != nil {
			t.Fatal(err)
		}
		spec := Spec{Host: "localhost", Port: port, StreamID: "#!::r=cam"}
		err := start(t, new(Caller).Run, spec, cam.stream).ends(giveUp)
		if media.ClassOf(err) != tc.class || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%d: got %v, class %s", tc.code, err, media.ClassOf(err))
		}
		if id := <-asked; id != "#!::r=cam" {
			t.Errorf("the listener was asked for %q", id)
		}
		l.Close()
	}
}

func TestNobodyListens(t *testing.T) {
	cam := play(t, mediatest.H264)
	err := start(t, new(Caller).Run, Spec{Host: "127.0.0.1", Port: freePort(t)}, cam.stream).ends(giveUp)
	if media.ClassOf(err) != media.ClassUnreachable || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotWork(t *testing.T) {
	s := hub.NewStream("cam")
	defer s.Close()
	s.SetTracks([]*media.Track{{Kind: media.KindVideo, Codec: media.CodecMJPEG}})
	for name, spec := range map[string]Spec{
		"MPEG-TS cannot carry MJPEG":                {Host: "127.0.0.1", Port: 9},
		"passphrase has 5 bytes, 10 to 79 are allo": {Host: "127.0.0.1", Port: 9, Passphrase: "short"},
	} {
		err := start(t, new(Caller).Run, spec, s).ends(giveUp)
		if media.ClassOf(err) != media.ClassUnsupported || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v", err)
		}
	}
}

// TestStop: whatever a push is at, it ends soon after it was told to, and says
// what it was told.
func TestStop(t *testing.T) {
	const soon = 4 * time.Second // libsrt gives a silent peer up after 5 s
	cam := play(t, mediatest.H264AAC)
	mute, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	sink, frozen := listen(t, ""), listen(t, "")
	for _, tc := range []struct {
		name   string
		stream *hub.Stream
		port   uint16
		when   func(*testing.T, *push)
	}{
		{"while there is no camera", hub.NewStream("off"), sink.port, func(*testing.T, *push) {}},
		{"while it connects", cam.stream, mute.LocalAddr().(*net.UDPAddr).AddrPort().Port(), func(t *testing.T, _ *push) {
			if _, _, err := mute.ReadFrom(make([]byte, 1500)); err != nil {
				t.Error(err)
			}
		}},
		{"while it sends", cam.stream, sink.port, func(_ *testing.T, p *push) { p.await() }},
		{"while its peer is frozen", cam.stream, frozen.port, func(_ *testing.T, p *push) {
			p.await()
			frozen.signal(syscall.SIGSTOP)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, new(Caller).Run, Spec{Host: "127.0.0.1", Port: tc.port}, tc.stream)
			tc.when(t, p)
			p.stop(errStop)
			if err := p.ends(soon); !errors.Is(err, errStop) {
				t.Errorf("ended with %v", err)
			}
		})
	}
	frozen.signal(syscall.SIGCONT)
}

func TestAFrozenPeerEndsThePush(t *testing.T) {
	for _, tc := range []struct {
		name    string
		timeout time.Duration
		want    error
	}{
		{"by our timeout", 2 * time.Second, errStalled},
		{"by libsrt's", 20 * time.Second, errSilent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sink, cam := listen(t, ""), play(t, mediatest.H264AAC)
			spec := sink.spec()
			spec.Timeout = tc.timeout
			p := start(t, new(Caller).Run, spec, cam.stream)
			p.await()
			sink.signal(syscall.SIGSTOP)
			defer sink.signal(syscall.SIGCONT)
			if err := p.ends(giveUp); !errors.Is(err, tc.want) || media.ClassOf(err) != media.ClassNetwork {
				t.Errorf("ended with %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAPeerThatClosesEndsThePush(t *testing.T) {
	t.Parallel()
	sink, cam := listen(t, ""), play(t, mediatest.H264AAC)
	p := start(t, new(Caller).Run, sink.spec(), cam.stream)
	p.await()
	sink.signal(syscall.SIGTERM)
	if err := p.ends(giveUp); !errors.Is(err, errLeft) || !errors.Is(err, media.ErrPeerClosed) {
		t.Errorf("ended with %v", err)
	}
	sink.ended()
	f, err := os.Create(sink.file)
	if err != nil {
		t.Fatal(err)
	}
	sink.start("", f)
	again := start(t, new(Caller).Run, sink.spec(), cam.stream)
	again.await()
	again.stop(errStop)
	_ = again.ends(giveUp)
	sink.ended()
	_ = f.Close()
	mediatest.Decodes(t, sink.file)
}

func TestAPeerThatVanishesWhileTheCameraIsOutIsNoticed(t *testing.T) {
	t.Parallel()
	sink, cam := listen(t, ""), play(t, mediatest.H264AAC)
	spec := sink.spec()
	spec.Timeout = 20 * time.Second
	p := start(t, new(Caller).Run, spec, cam.stream)
	p.await()
	cam.stop()
	sink.signal(syscall.SIGKILL)
	// The last messages may have been on their way.
	if err := p.ends(giveUp); !errors.Is(err, errLost) && !errors.Is(err, errSilent) {
		t.Errorf("ended with %v", err)
	}
}

func TestPushesShareAPort(t *testing.T) {
	var c Caller
	cam := play(t, mediatest.H264)
	var pushes []*push
	for range 3 {
		sink := listen(t, "")
		p := start(t, c.Run, sink.spec(), cam.stream)
		p.await()
		pushes = append(pushes, p)
	}
	if len(c.ports) != 1 || c.ports[0].users != 3 {
		t.Errorf("%d ports for three listeners", len(c.ports))
	}
	first := listen(t, "")
	one := start(t, c.Run, first.spec(), cam.stream)
	one.await()
	one.stop(errStop)
	_ = one.ends(giveUp)
	first.ended()
	first.start("", nil)
	two := start(t, c.Run, first.spec(), cam.stream)
	two.await()
	c.mu.Lock()
	if len(c.ports) != 2 {
		t.Errorf("%d ports after a listener was called again, want 2", len(c.ports))
	}
	c.mu.Unlock()
	for _, p := range append(pushes, two) {
		p.stop(errStop)
		_ = p.ends(giveUp)
	}
	if len(c.ports) != 0 {
		t.Errorf("%d ports are left", len(c.ports))
	}
}

func TestLogsHoldNoSecret(t *testing.T) {
	var log bytes.Buffer
	sink, cam := listen(t, "&passphrase=a-long-secret"), play(t, mediatest.H264)
	spec := sink.spec()
	spec.Passphrase, spec.StreamID = "a-long-secret", "another-secret"
	run := func(ctx context.Context, spec Spec, s *hub.Stream, p *media.Progress, _ *slog.Logger) error {
		all := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})
		return new(Caller).Run(ctx, spec, s, p, slog.New(all))
	}
	p := start(t, run, spec, cam.stream)
	p.await()
	if rtt := p.progress.RTT(); rtt <= 0 {
		t.Errorf("round trip time %v", rtt)
	}
	p.stop(errStop)
	_ = p.ends(giveUp)
	if s := log.String(); strings.Contains(s, "secret") || !strings.Contains(s, "msg=disconnected rtt=") {
		t.Errorf("logged %s", s)
	}
}
