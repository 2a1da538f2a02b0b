package rtspd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func TestRefusalsHaveTheirStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		path   string
		err    error
		status int
		header string
	}{
		"an unknown stream is 404":               {"nope", nil, 404, ""},
		"an invalid start mode is 400":           {"gate?start=later", nil, 400, ""},
		"missing credentials are 401 and Basic":  {"gate", hub.ErrDenied, 401, `Www-Authenticate: Basic realm="camrelay"`},
		"a forbidden stream is 403":              {"gate", hub.ErrForbidden, 403, ""},
		"a camera without picture is 503, later": {"gate", fmt.Errorf("%w: busy", hub.ErrUnavailable), 503, "Retry-After: 2"},
		"any other failure is 500":               {"gate", errors.New("odd"), 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Config{}, newCamera(t, mediatest.H264AAC).stream)
			s.refuse = func(hub.Request) error { return tc.err }
			p := dial(t, s, tc.path)
			res := p.want(tc.status, "DESCRIBE", p.url)
			if k, v, ok := strings.Cut(tc.header, ": "); ok && res.header.Get(k) != v {
				t.Errorf("%s is %q, want %q", k, res.header.Get(k), v)
			}
			p.want(200, "OPTIONS", p.url) // the connection is still good
		})
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	s := serve(t, Config{}, newCamera(t, mediatest.H264AAC).stream)
	s.refuse = func(hub.Request) error { return hub.Refuse(hub.ErrUnavailable, "there are 3 viewers already") }
	p := dial(t, s, "gate")
	if res := p.want(503, "DESCRIBE", p.url); res.phrase != "there are 3 viewers already" {
		t.Errorf("got %q", res.phrase)
	}
}

func TestCredentialsReachTheOpener(t *testing.T) {
	s := serve(t, Config{}, newCamera(t, mediatest.H264).stream)
	s.refuse = func(req hub.Request) error {
		if req.User != "alice" || req.Password != "s3cret" {
			return hub.ErrDenied
		}
		if req.Path != "gate" || req.Protocol != "rtsp" || req.UserAgent != "GStreamer/1.22" || req.Query.Get("x") != "y" {
			t.Errorf("request is %+v", req)
		}
		return nil
	}
	p := dial(t, s, "gate?x=y")
	p.header["User-Agent"] = "GStreamer/1.22"
	p.want(401, "DESCRIBE", p.url)
	p.want(200, "DESCRIBE", p.url, "Authorization: Basic YWxpY2U6czNjcmV0")
}

func TestSetupWithoutDescribeOpensTheStream(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	res := p.setup(1, "RTP/AVP/TCP;unicast;interleaved=0-1")
	if tr := res.header.Get("Transport"); strings.Contains(tr, "ssrc") {
		t.Errorf("Transport names an SSRC that no packet has: %s", tr)
	}
	res = p.want(200, "PLAY", p.url)
	if res.header.Get("Rtp-Info") != "" || res.header.Get("Range") != "npt=now-" {
		t.Errorf("PLAY answers RTP-Info %q, Range %q", res.header.Get("Rtp-Info"), res.header.Get("Range"))
	}
	p.want(200, "GET_PARAMETER", p.url)
	p.want(200, "TEARDOWN", p.url)
	if err := s.reason(t); !errors.Is(err, errTeardown) {
		t.Errorf("ended because %v", err)
	}
	p.closed()
}

func TestEndsOfASession(t *testing.T) {
	kicked := errors.New("kicked")
	for name, tc := range map[string]struct {
		end  func(s *site, p *player, st *hub.Stream)
		want error
	}{
		"a kick closes the connection": {func(s *site, _ *player, _ *hub.Stream) { s.kick(kicked) }, kicked},
		"the end of the stream closes the connection": {
			func(_ *site, _ *player, st *hub.Stream) { st.Close() }, hub.ErrEnded,
		},
		"the end of the server closes the connection": {
			func(s *site, _ *player, _ *hub.Stream) { _ = s.stop() }, errShutdown,
		},
		"the viewer leaves without a word": {
			func(_ *site, p *player, _ *hub.Stream) { p.conn.Close() }, errClosed,
		},
		"garbage ends the session": {
			func(_ *site, p *player, _ *hub.Stream) { fmt.Fprint(p.conn, "no RTSP at all\r\n\r\n") }, errGarbage,
		},
	} {
		for transport, header := range map[string]string{
			"TCP":       "RTP/AVP/TCP;unicast;interleaved=0-1",
			"UDP":       "RTP/AVP;unicast;client_port=40000-40001",
			"multicast": "RTP/AVP;multicast",
		} {
			t.Run(name+", "+transport, func(t *testing.T) {
				st := hub.NewStream("gate")
				st.SetTracks([]*media.Track{video})
				s := serve(t, Config{Multicast: toLo(t, "239.255.0.0/16")}, st)
				p := dial(t, s, "gate")
				p.setup(0, header)
				p.want(200, "PLAY", p.url)
				eventually(t, "it plays", func() bool { return s.server.Stats().Readers == 1 })
				tc.end(s, p, st)
				if err := s.reason(t); !errors.Is(err, tc.want) {
					t.Errorf("ended because %v, want %v", err, tc.want)
				}
				p.closed()
				eventually(t, "nobody plays", func() bool {
					n := s.server.Stats()
					return n.Readers == 0 && n.Groups == 0
				})
				if len(s.ended) != 0 {
					t.Error("the subscription was given back twice")
				}
			})
		}
	}
}

func TestADescriptionAloneIsGivenBackToo(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.want(200, "DESCRIBE", p.url)
	p.want(200, "DESCRIBE", p.url+"?start=live")
	if err := s.reason(t); !errors.Is(err, errReplaced) {
		t.Errorf("first ended because %v", err)
	}
	p.conn.Close()
	if err := s.reason(t); !errors.Is(err, errClosed) {
		t.Errorf("second ended because %v", err)
	}
}

func TestLimits(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	t.Run("sessions", func(t *testing.T) {
		s := serve(t, Config{MaxReaders: 2}, cam.stream)
		const tcp = "Transport: RTP/AVP/TCP;unicast"
		first := dial(t, s, "gate")
		first.want(200, "SETUP", first.url+"/trackID=0", tcp)
		second := dial(t, s, "gate")
		second.want(200, "SETUP", second.url+"/trackID=0", tcp)
		third := dial(t, s, "gate")
		third.want(453, "SETUP", third.url+"/trackID=0", tcp)
		first.conn.Close()
		eventually(t, "the place is free again", func() bool {
			return third.do("SETUP", third.url+"/trackID=0", tcp).status == 200
		})
	})
	t.Run("connections", func(t *testing.T) {
		s := serve(t, Config{MaxConns: 2}, cam.stream)
		first, second := dial(t, s, "gate"), dial(t, s, "gate")
		first.want(200, "OPTIONS", first.url)
		second.want(200, "OPTIONS", second.url)
		dial(t, s, "gate").closed()
		if n := s.server.Stats().Refused; n != 1 {
			t.Errorf("%d refused, want 1", n)
		}
	})
}

func TestWithoutUDPPortsUDPIsRefused(t *testing.T) {
	s := serve(t, Config{RTPPort: -1}, newCamera(t, mediatest.H264).stream)
	p := dial(t, s, "gate")
	p.want(200, "DESCRIBE", p.url)
	p.want(461, "SETUP", p.url+"/trackID=0", "Transport: RTP/AVP;unicast;client_port=40000-40001")
	p.setup(0, "RTP/AVP/TCP;unicast;interleaved=0-1")
}

func TestPauseAndPlayGoOnWithTheNextKeyFrame(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	cam.publish(t, 30)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.play(1)
	p.packet()
	p.want(200, "PAUSE", p.url)
	eventually(t, "nobody plays", func() bool { return s.server.Stats().Readers == 0 })
	cam.toKey(t)
	p.want(200, "PLAY", p.url)
	eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
	want := cam.publish(t, 1)[0]
	if got := p.packet(); string(got) != string(want.Wire[:len(got)]) {
		t.Error("after PAUSE and PLAY the first packet is not that of the next key frame")
	}
}

func TestSecondPlayChangesNothing(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.play(1)
	p.want(200, "PLAY", p.url)
	eventually(t, "it plays", func() bool { return s.server.Stats().Readers == 1 })
	cam.publish(t, 3)
	p.packet()
}

func TestASessionOfAnotherConnectionIsNotTouched(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	s := serve(t, Config{}, cam.stream)
	p := dial(t, s, "gate")
	p.setup(0, "RTP/AVP/TCP;unicast;interleaved=0-1")
	other := dial(t, s, "gate")
	other.session = p.session
	other.want(455, "PLAY", other.url)
	other.want(455, "PAUSE", other.url)
	p.want(200, "PLAY", p.url)
}
