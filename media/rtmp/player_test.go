package rtmp

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// player is the client's side of one connection, written from the specification.
type player struct {
	peer
}

// dialPlayer connects and greets.
func dialPlayer(t testing.TB, address string) player {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	return player{peer: peer{Conn: c, wire: newWire(c)}}
}

// hail does the handshake.
func (p player) hail() error {
	if _, err := p.Write(append([]byte{rtmpVersion}, make([]byte, 1536)...)); err != nil {
		return err
	}
	s, err := p.take(1 + 1536 + 1536)
	if err != nil {
		return err
	}
	_, err = p.Write(s[1 : 1+1536])
	return err
}

// ask connects and asks for a stream; extra goes into the command object.
func (p player) ask(app, stream string, extra flv.Object) error {
	o := append(flv.Object{{Name: "app", Value: app}, {Name: "flashVer", Value: "test"}}, extra...)
	return errors.Join(p.hail(), p.say(0, "connect", 1.0, o), p.say(0, "createStream", 2.0, nil),
		p.say(1, "play", 0.0, nil, stream))
}

// told reads up to an onStatus and returns its code and description.
func (p player) told() (code, description string, err error) {
	m, err := p.await("onStatus")
	vs, _ := flv.ParseScript(m.body)
	st := statusOf(vs)
	return st.code, st.description, err
}

func TestSuiteOfPlay(t *testing.T) {
	mediatest.Suite{
		Kind: mediatest.H264B,
		Start: func(ctx context.Context, s *hub.Stream, got func(mediatest.Received)) error {
			return withPlayer(ctx, t, s, func(p player) { _ = frames(p.peer, got) })
		},
		Stall: func(ctx context.Context, s *hub.Stream) error {
			return withPlayer(ctx, t, s, func(player) { <-ctx.Done() })
		},
	}.Run(t)
}

// withPlayer serves s to a player that runs script, until ctx is done or the
// player has ended.
func withPlayer(ctx context.Context, t *testing.T, s *hub.Stream, script func(player)) error {
	x := startServer(t, Config{}, map[string]*hub.Stream{"gate": s})
	p := dialPlayer(t, x.Addr().String())
	defer context.AfterFunc(ctx, x.stop)()
	if err := p.ask("live", "gate", nil); err != nil {
		return err
	}
	script(p)
	_ = p.Close()
	x.stop()
	<-x.done
	return nil
}

// TestEnhancedRTMPIsNegotiated reads what the server sends byte by byte.
func TestEnhancedRTMPIsNegotiated(t *testing.T) {
	type row struct {
		kind   mediatest.Kind
		offers flv.Object
		want   string // first bytes of the video's and the audio's sequence headers
		code   string
	}
	list := func(names ...string) flv.Object { return flv.Object{{Name: "fourCcList", Value: names}} }
	opus := flv.Object{{Name: "audioFourCcInfoMap", Value: flv.Object{{Name: "Opus", Value: 1.0}}}}
	hevc := flv.Object{{Name: "videoFourCcInfoMap", Value: flv.Object{{Name: "hvc1", Value: 1.0}}}}
	for name, tc := range map[string]row{
		"H.265 to one who lists it":        {mediatest.H265AAC, list("av01", "hvc1"), "\x90hvc1 \xaf\x00", ""},
		"H.265 to one who takes all":       {mediatest.H265B, list("*"), "\x90hvc1", ""},
		"H.265 to one who maps it":         {mediatest.H265AAC, hevc, "\x90hvc1 \xaf\x00", ""},
		"H.265 to one who does not":        {mediatest.H265AAC, list("av01"), "", "NetStream.Play.NoSupportedTrackFound"},
		"Opus beside H.264":                {mediatest.H264Opus, opus, "\x17\x00 \x90Opus", ""},
		"Opus to one who does not know it": {mediatest.H264Opus, nil, "\x17\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := startServer(t, Config{}, map[string]*hub.Stream{"gate": play(t, mediatest.MakeClip(t, tc.kind), true)})
			p := dialPlayer(t, x.Addr().String())
			if err := p.ask("live", "gate", tc.offers); err != nil {
				t.Fatal(err)
			}
			m, err := p.await("_result")
			vs, _ := flv.ParseScript(m.body)
			if err != nil || (offered(vs) != 0) != (tc.offers != nil && tc.code == "") {
				t.Errorf("connect is answered %v, %v", vs, err)
			}
			code, text, err := p.told()
			if tc.code != "" {
				if code != tc.code || !strings.Contains(text, "needs Enhanced RTMP") || err != nil {
					t.Errorf("told %s: %s, %v", code, text, err)
				}
				return
			}
			var heads []string
			for pictures := 0; pictures < 9 && err == nil; {
				if m, err = p.next(); m.kind != byte(flv.Video) && m.kind != byte(flv.Audio) {
					continue
				}
				for h := range strings.FieldsSeq(tc.want) {
					if strings.HasPrefix(string(m.body), h) {
						heads = append(heads, h)
					}
				}
				if m.kind == byte(flv.Audio) || m.body[0]&0x8f == 0x80 || m.body[0]&0x80 == 0 && m.body[1] == 0 {
					continue
				}
				if pictures++; pictures == 1 && m.body[0]&0x70 != 0x10 {
					t.Errorf("the first picture begins with %x", m.body[:8])
				}
			}
			if got := strings.Join(heads, " "); err != nil || got != tc.want {
				t.Errorf("headers %q, want %q, %v", got, tc.want, err)
			}
		})
	}
}

// TestAViewingEnds ends sessions in every way and reads the server's last words.
func TestAViewingEnds(t *testing.T) {
	const goodbye = "NetStream.Play.UnpublishNotify NetStream.Play.Stop"
	why := errors.New("terminated by somebody")
	for name, tc := range map[string]struct {
		end  func(x *theatre, s *hub.Stream, p player)
		err  error
		said string
	}{
		"the server stops":          {func(x *theatre, _ *hub.Stream, _ player) { x.stop() }, errShutdown, goodbye},
		"the stream ends":           {func(_ *theatre, s *hub.Stream, _ player) { s.Close() }, hub.ErrEnded, goodbye},
		"somebody ends the session": {func(x *theatre, _ *hub.Stream, _ player) { x.kick[0](why) }, why, goodbye},
		"the player says goodbye": {
			func(_ *theatre, _ *hub.Stream, p player) { _ = p.say(0, "deleteStream", 3.0, nil, 1.0) }, errLeft, "",
		},
		"the player hangs up": {
			func(_ *theatre, _ *hub.Stream, p player) { _ = p.Conn.(*net.TCPConn).CloseWrite() }, errGone, "",
		},
		"the player sends noise": {
			func(_ *theatre, _ *hub.Stream, p player) { _, _ = p.Write([]byte("\xff\xff")) }, errChunk, goodbye,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clip := mediatest.MakeClip(t, mediatest.H264)
			s := hub.NewStream("gate")
			defer s.Close()
			s.SetTracks(clip.Tracks)
			s.Units.Append(clip.Units(20)...)
			x := startServer(t, Config{}, map[string]*hub.Stream{"gate": s})
			p := dialPlayer(t, x.Addr().String())
			if err := p.ask("live", "gate", nil); err != nil {
				t.Fatal(err)
			}
			for m, err := p.next(); m.kind != byte(flv.Video); m, err = p.next() {
				if err != nil {
					t.Fatal(err)
				}
			}
			tc.end(x, s, p)
			var said []string
			for {
				code, _, err := p.told()
				if err != nil {
					break
				}
				said = append(said, code)
			}
			if got := strings.Join(said, " "); got != tc.said {
				t.Errorf("said %q, want %q", got, tc.said)
			}
			_ = p.Close()
			if err := x.ended(t, 1); !errors.Is(err, tc.err) {
				t.Errorf("ended with %v, want %v", err, tc.err)
			}
		})
	}
}

func TestAPauseRests(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264)
	x := startServer(t, Config{}, map[string]*hub.Stream{"gate": play(t, clip, true)})
	p := dialPlayer(t, x.Addr().String())
	if err := errors.Join(p.ask("live", "gate", nil), p.say(1, "pause", 0.0, nil, true, 0.0)); err != nil {
		t.Fatal(err)
	}
	for code := ""; code != "NetStream.Pause.Notify"; {
		var err error
		if code, _, err = p.told(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.say(1, "pause", 0.0, nil, false, 0.0); err != nil {
		t.Fatal(err)
	}
	for code := ""; code != "NetStream.Unpause.Notify"; {
		var err error
		if code, _, err = p.told(); err != nil {
			t.Fatal(err)
		}
	}
	for {
		m, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == byte(flv.Video) && m.body[1] == 1 {
			break
		}
	}
}

func TestAConnectionTooManyIsClosed(t *testing.T) {
	x := startServer(t, Config{MaxConns: 1}, nil)
	first := dialPlayer(t, x.Addr().String())
	if err := first.hail(); err != nil {
		t.Fatal(err)
	}
	second := dialPlayer(t, x.Addr().String())
	if _, err := second.take(1); !closed(err) {
		t.Errorf("the second got %v", err)
	}
	if n := x.Stats().Refused; n != 1 {
		t.Errorf("counted %d", n)
	}
}

// TestASlowViewerLosesGroupsOfPictures reads so slowly that the log overtakes
// it, and then checks that what it gets can be decoded.
func TestASlowViewerLosesGroupsOfPictures(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264Large)
	s := hub.NewStream("gate")
	defer s.Close()
	s.SetTracks(clip.Tracks)
	s.Units.Append(clip.Units(10)...)
	x := startServer(t, Config{}, map[string]*hub.Stream{"gate": s})
	p := dialPlayer(t, x.Addr().String())
	if err := p.ask("live", "gate", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it plays", func() bool { return x.Stats().Viewers == 1 })
	for n, size := 10, 0; size < 48<<20; n++ { // twice what the log holds; the viewer is stuck in a write
		u := clip.Unit(n)
		s.Units.Append(u)
		size += u.Size()
	}
	var last uint32
	jumped := false
	for !jumped {
		m, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.kind != byte(flv.Video) || m.body[1] != 1 {
			continue
		}
		if jumped = m.ts > last+200; jumped && m.body[0]>>4 != 1 {
			t.Errorf("behind the gap of %d ms comes a picture of type %d", m.ts-last, m.body[0]>>4)
		}
		last = m.ts
	}
	eventually(t, "it is counted", func() bool { return x.Stats().Lost > 0 })
}

func TestAViewerThatReadsNothingIsClosed(t *testing.T) {
	s := play(t, mediatest.MakeClip(t, mediatest.H264), false)
	x := startServer(t, Config{Timeout: 3 * time.Second}, map[string]*hub.Stream{"gate": s})
	p := dialPlayer(t, x.Addr().String())
	if err := p.ask("live", "gate", nil); err != nil {
		t.Fatal(err)
	}
	if err := x.ended(t, 1); !errors.Is(err, errSlow) {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "it is counted", func() bool { return x.Stats().Slow == 1 && x.Stats().Viewers == 0 })
}

// TestWhoReadsTellsOfAViewerThatReadsNothing: the kernel tells one of two calls, and
// that may be the one that reads.
func TestWhoReadsTellsOfAViewerThatReadsNothing(t *testing.T) {
	err := new(viewer).silence(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)})
	if !errors.Is(err, errSlow) {
		t.Errorf("ended with %v", err)
	}
}

func TestAViewerThatIsOvertakenAgainAndAgain(t *testing.T) {
	v := &viewer{server: New(Config{}, nil, nil), sub: new(hub.Subscription)}
	n := 0
	for err := error(nil); err == nil && n < 100; n++ {
		if err = v.sent(1000, 5, 50); err != nil && !errors.Is(err, errTooSlow) {
			t.Fatal(err)
		}
		if e := v.sent(1000, 5, 0); e != nil {
			t.Fatal(e)
		}
	}
	if st := v.server.Stats(); n != maxFalls+1 || st.Lost != int64(n)*50 {
		t.Errorf("closed after %d times, %d units counted as lost", n, st.Lost)
	}
}
