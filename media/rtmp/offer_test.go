package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestWhatAServerIsSent publishes to servers that offer this and that, and reads
// the bytes of the sequence headers.
func TestWhatAServerIsSent(t *testing.T) {
	lists := func(names ...string) flv.Object { return flv.Object{{Name: "fourCcList", Value: names}} }
	maps := flv.Object{{Name: "videoFourCcInfoMap", Value: flv.Object{{Name: "hvc1", Value: 4.0}}}}
	for name, tc := range map[string]struct {
		kind  mediatest.Kind
		spec  Spec
		offer flv.Object
		asks  string // what connect lists
		want  string // the sequence headers' first bytes, or the reason
	}{
		"H.265 to a server that lists it": {
			mediatest.H265AAC, Spec{}, lists("av01", "hvc1"), "[hvc1] 1", "\x90hvc1 \xaf\x00",
		},
		"H.265 to one that takes all": {mediatest.H265B, Spec{}, lists("*"), "[hvc1] 1", "\x90hvc1 \xaf\x00"},
		"H.265 to one that maps it":   {mediatest.H265B, Spec{}, maps, "[hvc1] 1", "\x90hvc1 \xaf\x00"},
		"H.265 to one that offers nothing": {
			mediatest.H265AAC, Spec{}, nil, "[hvc1] 1", "has not offered H.265",
		},
		"H.265 by force": {mediatest.H265AAC, Spec{Enhanced: EnhancedForce}, nil, "[hvc1] 1", "\x90hvc1 \xaf\x00"},
		"H.265 with Enhanced RTMP off": {
			mediatest.H265AAC, Spec{Enhanced: EnhancedOff}, lists("hvc1"), "<nil> <nil>", "has not offered H.265",
		},
		"H.265 by codec id 12": {
			mediatest.H265AAC, Spec{Enhanced: EnhancedOff, LegacyHEVC: true}, nil, "<nil> <nil>", "\x1c\x00 \xaf\x00",
		},
		"by codec id 12 to one that offers nothing": {
			mediatest.H265AAC, Spec{LegacyHEVC: true}, nil, "[hvc1] 1", "\x1c\x00 \xaf\x00",
		},
		"by FourCC where both would do": {
			mediatest.H265AAC, Spec{LegacyHEVC: true}, lists("hvc1"), "[hvc1] 1", "\x90hvc1 \xaf\x00",
		},
		"Opus beside H.264 to one that lists it": {
			mediatest.H264Opus, Spec{}, lists("Opus"), "[Opus] 1", "\x17\x00 \x90Opus",
		},
		"Opus to one that does not": {mediatest.H264Opus, Spec{}, nil, "[Opus] 1", "\x17\x00"},
		"H.264 and AAC":             {mediatest.H264AAC, Spec{}, nil, "<nil> 1", "\x17\x00 \xaf\x00"},
		"sound alone":               {mediatest.AAC, Spec{}, nil, "<nil> 1", "\xaf\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, heads := make(chan string, 1), make(chan string, 1)
			address := serve(t, func(p peer) {
				o, err := p.connect()
				if err != nil {
					return
				}
				asked <- fmt.Sprint(o.Get("fourCcList"), o.Get("capsEx"))
				err = p.welcome(tc.offer)
				var got []string
				for frames := 0; err == nil && frames < 5; {
					var m received
					if m, err = p.next(); err != nil || m.kind != byte(flv.Video) && m.kind != byte(flv.Audio) {
						continue
					}
					switch b := m.body; {
					case b[0] == 0x90:
						got = append(got, string(b[:5]))
					case b[0]&0x80 == 0 && b[1] == 0, b[0] == 0xaf && b[1] == 0:
						got = append(got, string(b[:2]))
					default:
						frames++
					}
				}
				heads <- strings.Join(got, " ")
				_, _ = io.Copy(io.Discard, p.r)
			})
			tc.spec.URL = "rtmp://" + address + "/live/key"
			r := push(t, tc.spec, play(t, mediatest.MakeClip(t, tc.kind), true))
			if got := <-asked; got != tc.asks {
				t.Errorf("connect lists %s, want %s", got, tc.asks)
			}
			if strings.Contains(tc.want, "offered") {
				if err := r.ended(t); !strings.Contains(err.Error(), tc.want) || media.ClassOf(err) != media.ClassUnsupported {
					t.Errorf("ended with %v", err)
				}
				return
			}
			if got := <-heads; got != tc.want {
				t.Errorf("sent %q, want %q", got, tc.want)
			}
			r.stop(errStop)
			if err := r.ended(t); !errors.Is(err, errStop) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestAServerThatDoesNotReadIsNeverActive accepts a publication and reads none
// of it.
func TestAServerThatDoesNotReadIsNeverActive(t *testing.T) {
	address := serve(t, func(p peer) {
		if p.accept() == nil {
			<-p.over
		}
	})
	s := play(t, mediatest.MakeClip(t, mediatest.H264Large), false)
	r := push(t, Spec{URL: "rtmp://" + address + "/live/key", Timeout: 4 * time.Second}, s)
	if err := r.ended(t); !errors.Is(err, errStalled) {
		t.Errorf("ended with %v", err)
	}
	if n := r.units(); n != 0 {
		t.Errorf("%d units count as sent", n)
	}
}

// TestAServerThatNeverAcknowledges reads all and says nothing.
func TestAServerThatNeverAcknowledges(t *testing.T) {
	address := serve(t, func(p peer) {
		if p.accept() == nil {
			_, _ = io.Copy(io.Discard, p.r)
		}
	})
	s := play(t, mediatest.MakeClip(t, mediatest.H264), true)
	r := push(t, Spec{URL: "rtmp://" + address + "/live/key", Timeout: 3 * time.Second}, s)
	r.await(t)
	r.stop(errStop)
	if err := r.ended(t); !errors.Is(err, errStop) {
		t.Errorf("ended with %v", err)
	}
}

func TestNothingIsActiveWithoutMedia(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264)
	connected := make(chan struct{})
	address := serve(t, func(peer) { close(connected) })
	s := hub.NewStream("cam")
	defer s.Close()
	s.SetTracks(clip.Tracks)
	r := push(t, Spec{URL: "rtmp://" + address + "/live/key"}, s)
	eventually(t, "it waits for media", func() bool { return s.Units.Readers() == 1 })
	select {
	case <-connected:
		t.Error("it has connected")
	default:
	}
	r.stop(errStop)
	if err := r.ended(t); !errors.Is(err, errStop) || r.units() != 0 {
		t.Errorf("ended with %v after %d units", err, r.units())
	}
}

// TestWhyThereIsNoConnection reads the words that people see.
func TestWhyThereIsNoConnection(t *testing.T) {
	s := play(t, mediatest.MakeClip(t, mediatest.H264), true)
	cert, ca, _ := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now().Add(-time.Minute))
	_, port, err := net.SplitHostPort(secure(t, cert))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		spec  Spec
		class media.Class
		text  string
	}{
		"nobody listens": {
			Spec{URL: "rtmp://" + freeAddress(t) + "/live/key"}, media.ClassRefused, "nobody listens at 127.0.0.1:",
		},
		"a name that does not exist": {
			Spec{URL: "rtmp://camrelay.invalid/live/key"}, media.ClassRefused, "camrelay.invalid",
		},
		"a certificate for another name": {
			Spec{URL: "rtmps://localhost:" + port + "/live/key", CA: ca},
			media.ClassUnsupported,
			"the certificate is for 127.0.0.1, not for localhost",
		},
		"a server without TLS": {
			Spec{URL: "rtmps://" + serve(t, func(p peer) { _, _ = p.Write(make([]byte, 99)) }) + "/live/key"},
			media.ClassUnsupported, "does not speak TLS",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := push(t, tc.spec, s).ended(t)
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("ended with %v", err)
			}
			if name != "a name that does not exist" && media.ClassOf(err) != tc.class { // a box without a name server
				t.Errorf("%v has class %v", err, media.ClassOf(err))
			}
		})
	}
}
