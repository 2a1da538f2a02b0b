package rtmp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// listen returns a listener that ends with the test.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// frames passes on what a publisher sends until it says goodbye.
func frames(p peer, got func(mediatest.Received)) error {
	var sps []byte
	for {
		m, err := p.next()
		switch {
		case err != nil:
			return err
		case m.name() == "deleteStream":
			return nil
		case m.kind == byte(flv.Video) && m.body[1] == 0:
			n := int(m.body[5+6])<<8 | int(m.body[5+7])
			sps = m.body[5+8 : 5+8+n]
		case m.kind == byte(flv.Video):
			got(mediatest.Received{
				Kind: media.KindVideo, Key: m.body[0]>>4 == 1, SPS: sps,
				PTS: time.Duration(int(m.ts)+uint24(m.body[2:])) * time.Millisecond,
			})
		case m.kind == byte(flv.Audio) && m.body[1] == 1:
			got(mediatest.Received{Kind: media.KindAudio, PTS: time.Duration(m.ts) * time.Millisecond})
		}
	}
}

func TestSuite(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264B, mediatest.H264} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			mediatest.Suite{
				Kind: kind, Fixed: true,
				Start: func(ctx context.Context, s *hub.Stream, got func(mediatest.Received)) error {
					return withServer(ctx, t, s, func(p peer) { _ = frames(p, got) })
				},
				Stall: func(ctx context.Context, s *hub.Stream) error {
					return withServer(ctx, t, s, func(p peer) { <-p.over })
				},
			}.Run(t)
		})
	}
}

// withServer runs a push to a server that accepts it and then runs script, and
// returns when both have ended.
func withServer(ctx context.Context, t *testing.T, s *hub.Stream, script func(peer)) error {
	ln := listen(t)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if p := (peer{c, newWire(c), over}); p.accept() == nil {
			script(p)
		}
	})
	err := Run(ctx, Spec{URL: "rtmp://" + ln.Addr().String() + "/live/key"}, s,
		media.NewProgress(func() {}), slog.New(slog.DiscardHandler))
	close(over)
	_ = ln.Close()
	wg.Wait()
	return err
}

func TestAPublicationEndsAsTheProtocolWantsIt(t *testing.T) {
	s := play(t, mediatest.MakeClip(t, mediatest.H264AAC), true)
	said := make(chan string, 1)
	address := serve(t, func(p peer) {
		var names []string
		err := p.accept()
		for err == nil {
			var m received
			if m, err = p.next(); m.name() != "" {
				names = append(names, m.name())
			}
		}
		if !errors.Is(err, io.EOF) {
			names = append(names, err.Error())
		}
		said <- strings.Join(names, " ")
	})
	r := push(t, Spec{URL: "rtmp://" + address + "/live/key"}, s)
	r.await(t)
	r.stop(errStop)
	if err := r.ended(t); !errors.Is(err, errStop) {
		t.Errorf("ended with %v", err)
	}
	if got := <-said; got != "FCUnpublish closeStream deleteStream" {
		t.Errorf("said %s", got)
	}
}

// TestAnIdlePushAnswers lets the camera rest for longer than the timeout.
func TestAnIdlePushAnswers(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264)
	s := hub.NewStream("cam")
	defer s.Close()
	s.SetTracks(clip.Tracks)
	s.Units.Append(clip.Units(2)...)
	began, resume, pong := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	address := serve(t, func(p peer) {
		if p.accept() != nil {
			return
		}
		for n := 0; n < 3; { // sequence header, two pictures
			m, err := p.next()
			if err != nil {
				return
			}
			if m.kind == byte(flv.Video) {
				n++
			}
		}
		close(began)
		select {
		case <-resume:
		case <-p.over:
			return
		}
		ping := message{kind: typeUserControl, body: []byte{0, 6, 0, 0, 0, 1}}
		_, err := p.Write(appendMessage(nil, streamControl, 128, ping))
		for err == nil {
			var m received
			if m, err = p.next(); m.kind == typeUserControl {
				pong <- nil
				_, err = io.Copy(io.Discard, p.r)
			}
		}
		pong <- err
	})
	r := push(t, Spec{URL: "rtmp://" + address + "/live/key", Timeout: time.Second}, s)
	<-began
	<-time.After(1500 * time.Millisecond)
	close(resume)
	if err := <-pong; err != nil {
		t.Fatal(err)
	}
	s.Units.Append(clip.Unit(2))
	eventually(t, "media flows again", func() bool { return r.units() == 3 })
	r.stop(errStop)
	if err := r.ended(t); !errors.Is(err, errStop) {
		t.Errorf("ended with %v", err)
	}
}

func TestWhatRTMPCannotCarry(t *testing.T) {
	mjpeg := &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG}
	hevc := mediatest.MakeClip(t, mediatest.H265AAC)
	address := serve(t, func(p peer) { _ = p.accept() })
	for name, tc := range map[string]struct {
		stream *hub.Stream
		text   string
	}{
		"a picture format": {func() *hub.Stream {
			s := hub.NewStream("cam")
			s.SetTracks([]*media.Track{mjpeg})
			return s
		}(), "MJPEG cannot be carried by FLV"},
		"H.265 to a server that does not know it": {play(t, hevc, true), "has not offered H.265"},
	} {
		t.Run(name, func(t *testing.T) {
			err := push(t, Spec{URL: "rtmp://" + address + "/live/key"}, tc.stream).ended(t)
			if media.ClassOf(err) != media.ClassUnsupported || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestRTMPS(t *testing.T) {
	good, ca, _ := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now().Add(-time.Minute))
	early, earlyCA, _ := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now().Add(24*time.Hour))
	sum := sha256.Sum256(good.Certificate[0])
	pin, other := hex.EncodeToString(sum[:]), strings.Repeat("ab:", 31)+"ab"
	s := play(t, mediatest.MakeClip(t, mediatest.H264AAC), true)
	for name, tc := range map[string]struct {
		cert  tls.Certificate
		spec  Spec
		class media.Class
		text  string // of the error; empty: it publishes
	}{
		"an authority":                        {good, Spec{CA: ca}, 0, ""},
		"any certificate":                     {good, Spec{Insecure: true}, 0, ""},
		"a fingerprint":                       {good, Spec{Fingerprint: strings.ToUpper(pin)}, 0, ""},
		"another certificate":                 {good, Spec{Fingerprint: other}, media.ClassUnsupported, "not the pinned one"},
		"an unknown authority":                {good, Spec{}, media.ClassUnsupported, "unknown authority"},
		"half a fingerprint":                  {good, Spec{Fingerprint: pin[:32]}, media.ClassUnsupported, "not a SHA-256"},
		"no authority at all":                 {good, Spec{CA: "x"}, media.ClassUnsupported, "not in PEM"},
		"a clock that is behind, as at start": {early, Spec{CA: earlyCA}, media.ClassNetwork, "expired or is not yet valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{tc.cert}, MinVersion: tls.VersionTLS12})
			seen := make(chan int, 1)
			var wg sync.WaitGroup
			wg.Go(func() {
				n := 0
				defer func() { seen <- n }()
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				if p := (peer{c, newWire(c), nil}); p.accept() == nil {
					_ = frames(p, func(mediatest.Received) { n++ })
				}
			})
			tc.spec.URL = "rtmps://" + ln.Addr().String() + "/live/key"
			r := push(t, tc.spec, s)
			if tc.text == "" {
				eventually(t, "30 units were sent", func() bool { return r.units() > 30 })
				r.stop(errStop)
			}
			err := r.ended(t)
			if tc.text == "" && !errors.Is(err, errStop) {
				t.Errorf("ended with %v", err)
			}
			if tc.text != "" && (!strings.Contains(err.Error(), tc.text) || media.ClassOf(err) != tc.class) {
				t.Errorf("ended with %v, class %v", err, media.ClassOf(err))
			}
			_ = ln.Close()
			wg.Wait()
			if n := <-seen; tc.text == "" && uint64(n) != r.units() {
				t.Errorf("the server got %d frames, %d were sent", n, r.units())
			}
		})
	}
}

// secure returns the address of a server that does a handshake with cert and
// hangs up, until the test ends.
func secure(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	ln := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1)) // the client's word counts
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}
