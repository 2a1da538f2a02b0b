package camera

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

func TestMediaBeginsWithAKeyAndLeavesWithATeardown(t *testing.T) {
	f := newFake(t)
	f.play = func(c *fakeConn) { c.stream(1000, 65530, 0xffffff00, 7) }
	p := newPuller(t, f.url())
	r := p.stream.Packets.Reader("test", hub.Live)
	defer r.Close()
	stop := p.start()
	all := p.entries(r, 30)
	if !all[0].Key || all[0].Gap {
		t.Errorf("the first entry is %s, want a key without a gap", text(all[0]))
	}
	seq, ts := all[0].Sequence(), all[0].Timestamp()
	for _, e := range all {
		for packet := range e.RTP() {
			got := media.Packets{Wire: wire(0, packet)}
			if got.Sequence() != seq || got.Timestamp() != ts || got.SSRC() != 7 {
				t.Fatalf("packet %d at %d, want %d at %d", got.Sequence(), got.Timestamp(), seq, ts)
			}
			seq, ts = seq+1, ts+900
		}
	}
	if err := stop(); err != context.Canceled {
		t.Errorf("ended by %v", err)
	}
	f.wait("TEARDOWN", has("TEARDOWN"))
	tracks, _ := p.stream.Tracks()
	if len(tracks) != 1 || tracks[0].Width == 0 || !tracks[0].Ready() {
		t.Errorf("tracks %+v", tracks)
	}
	if st := p.stream.Meter.Stats(time.Now()); st.Frames < 30 || st.Keys < 3 || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
}

// TestStopInEveryState stops a session while the camera owes an answer.
func TestStopInEveryState(t *testing.T) {
	for _, state := range []string{"TLS", "OPTIONS", "DESCRIBE", "SETUP", "PLAY", "media"} {
		t.Run(state, func(t *testing.T) {
			f := newFake(t)
			f.answers[state] = func(*fakeConn, asked) {}
			p := newPuller(t, f.url())
			ready := has(state)
			if state == "media" {
				ready = has("PLAY")
			}
			connected := make(chan struct{})
			if state == "TLS" {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				go func() {
					c, _ := ln.Accept()
					close(connected)
					defer c.Close()
					<-t.Context().Done()
				}()
				p.spec.URL = "rtsps://" + ln.Addr().String() + "/live"
			}
			stop := p.start()
			if state == "TLS" {
				<-connected
			} else {
				f.wait(state, ready)
			}
			begin := time.Now()
			if err := stop(); err != context.Canceled {
				t.Errorf("ended by %v", err)
			}
			if d := time.Since(begin); d > 3*time.Second {
				t.Errorf("took %v to stop", d)
			}
			if state == "PLAY" || state == "media" {
				f.wait("TEARDOWN", has("TEARDOWN"))
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	answer := func(status string) func(*fakeConn, asked) {
		return func(c *fakeConn, r asked) { c.reply(r, status, "", "") }
	}
	tests := []struct {
		name   string
		method string
		status string
		class  media.Class
		words  string
	}{
		{"no such stream", "DESCRIBE", "404 Not Found", media.ClassRefused, "(404)"},
		{"forbidden", "DESCRIBE", "403 Forbidden", media.ClassCredentials, "(403)"},
		{"no sessions left", "SETUP", "453 Not Enough Bandwidth", media.ClassBusy, "(453)"},
		{"busy at once", "OPTIONS", "503 Service Unavailable", media.ClassBusy, "(503)"},
		{"busy at PLAY", "PLAY", "503 Service Unavailable", media.ClassBusy, "(503)"},
		{"session lost", "PLAY", "454 Session Not Found", media.ClassNetwork, "(454)"},
		{"no transport is right", "SETUP", "461 Unsupported Transport", media.ClassUnsupported, "(461)"},
		{"anything else", "PLAY", "500 Internal Server Error", media.ClassNetwork, "500 to PLAY"},
		{"a password is wanted and there is none", "DESCRIBE", "401 Unauthorized", media.ClassCredentials, "asks for"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.answers[tt.method] = answer(tt.status)
			wantClass(t, newPuller(t, f.url()).run(t.Context()), tt.class, tt.words)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	wantClass(t, newPuller(t, "rtsp://"+addr+"/").run(t.Context()), media.ClassRefused, "refused")
}

func TestOddAnswersAreUnderstood(t *testing.T) {
	replace := func(method, status, header string) func(f *fake) {
		return func(f *fake) {
			f.answers[method] = func(c *fakeConn, r asked) {
				body := ""
				if method == "DESCRIBE" {
					body = f.sdp
				}
				c.reply(r, status, strings.ReplaceAll(header, "{transport}", r.field("Transport")), body)
				if method == "PLAY" {
					f.wg.Go(func() { f.play(c) })
				}
			}
		}
	}
	tests := []struct {
		name string
		odd  func(f *fake)
	}{
		{"OPTIONS is not known", replace("OPTIONS", "501 Not Implemented", "")},
		{"OPTIONS is not found", replace("OPTIONS", "404 Not Found", "")},
		{"no Content-Type", replace("DESCRIBE", "200 OK", "X: y")},
		{"Content-Base without a scheme", replace("DESCRIBE", "200 OK", "Content-Base: 10.1.2.3/live/")},
		{"Content-Base of another host", replace("DESCRIBE", "200 OK", "Content-Base: rtsp://192.0.2.1:1/live/")},
		{"Content-Base as a path", replace("DESCRIBE", "200 OK", "Content-Base: /live/")},
		{"Session with blanks", replace("SETUP", "200 OK", "Session:  47 11 ; timeout = 30\r\nTransport: {transport}")},
		{"no Session at all", replace("SETUP", "200 OK", "Transport: {transport}")},
		{"an empty Session", replace("PLAY", "200 OK", "Session: ;timeout=60")},
		{"no interleaved in the answer", replace("SETUP", "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast")},
		{"one interleaved channel", replace("SETUP", "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=0")},
		{"interleaved without TCP", replace("SETUP", "200 OK", "Session: 1\r\nTransport: RTP/AVP;unicast;interleaved=0-1")},
		{"SDP of one sound line among nonsense", func(f *fake) {
			f.sdp = "o=x\nc=IN\nm=application/MERCURY 0 0\na=rtpmap\nm=video -5 RTP/AVP 96,\nm=video -5 RTP/AVP 96\n" +
				"a=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets=AAAA,;;=\na=key-mgmt:mikey !\na=mid:+\na=control:#\n"
		}},
		{"the camera asks in between", func(f *fake) {
			play := f.play
			f.play = func(c *fakeConn) {
				fmt.Fprint(c, "OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n"+
					"ANNOUNCE rtsp://x/ RTSP/1.0\r\nCSeq: 10\r\nContent-Length: 3\r\n\r\nabc")
				play(c)
			}
		}},
		{"answers in play that are none", func(f *fake) {
			play := f.play
			f.play = func(c *fakeConn) {
				fmt.Fprint(c, "RTSP/1.0 what\r\nno colon\r\n\r\n")
				play(c)
			}
		}},
		{"media before PLAY is answered", func(f *fake) {
			f.answers["PLAY"] = func(c *fakeConn, r asked) {
				c.Write(wire(0, rtpPacket(1, 1, 1, idr)))
				c.reply(r, "200 OK", "", "")
				f.wg.Go(func() { c.stream(1000, 2, 901, 1) })
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.play = func(c *fakeConn) { c.stream(1000, 1, 1, 1) }
			tt.odd(f)
			p := newPuller(t, f.url())
			r := p.stream.Packets.Reader("test", hub.Live)
			defer r.Close()
			stop := p.start()
			p.entries(r, 20)
			stop()
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, a := range f.all {
				if a.method != "answer" && !strings.HasPrefix(a.url, "rtsp://"+f.ln.Addr().String()+"/") {
					t.Errorf("%s asked for %s", a.method, a.url)
				}
			}
		})
	}
}

func TestTheCamerasOwnRequestsAreAnswered(t *testing.T) {
	f := newFake(t)
	f.play = func(c *fakeConn) {
		fmt.Fprint(c, "OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\nPING * RTSP/1.0\r\n\r\n"+
			"ANNOUNCE rtsp://x/ RTSP/1.0\r\nCSeq: 10\r\n\r\n")
	}
	stop := newPuller(t, f.url()).start()
	f.wait("two answers", func(all []asked) bool {
		var got []string
		for _, a := range all {
			if a.method == "answer" {
				got = append(got, strings.Fields(a.url)[1]+" "+a.field("CSeq"))
			}
		}
		return strings.Join(got, ", ") == "200 9, 501 10"
	})
	stop()
}

func TestSilenceEndsTheSession(t *testing.T) {
	tests := []struct {
		name string
		play func(c *fakeConn)
	}{
		{"nothing after PLAY", func(*fakeConn) {}},
		{"only RTCP", func(c *fakeConn) {
			for range 100 {
				c.Write(wire(1, []byte{0x80, 201, 0, 1, 0, 0, 0, 1}))
				<-time.After(10 * time.Millisecond)
			}
		}},
		{"a freeze in the middle of a packet", func(c *fakeConn) {
			c.stream(5, 1, 1, 1)
			c.Write([]byte{'$', 0, 5})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.play = tt.play
			p := newPuller(t, f.url())
			p.spec.MediaTimeout = 300 * time.Millisecond
			wantClass(t, p.run(t.Context()), media.ClassNetwork, "no media for 300ms")
			f.wait("TEARDOWN", has("TEARDOWN"))
		})
	}
}

func TestJunkWithoutEndEndsTheSession(t *testing.T) {
	f := newFake(t)
	f.play = func(c *fakeConn) {
		for range 3 * maxJunk >> 12 {
			if _, err := c.Write(make([]byte, 4<<10)); err != nil {
				return
			}
		}
	}
	wantClass(t, newPuller(t, f.url()).run(t.Context()), media.ClassNetwork, errJunk.Error())
}

func TestTCPRefusedMeansUDP(t *testing.T) {
	tests := []struct {
		name   string
		refuse func(c *fakeConn, r asked)
	}{
		{"by 461", func(c *fakeConn, r asked) { c.reply(r, "461 Unsupported Transport", "", "") }},
		{"by an answer for UDP", func(c *fakeConn, r asked) {
			c.reply(r, "200 OK", "Session: 1\r\nTransport: RTP/AVP;unicast;client_port=1-2;server_port=3-4", "")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			port := pc.LocalAddr().(*net.UDPAddr).Port
			f.answers["SETUP"] = func(c *fakeConn, r asked) {
				th := r.field("Transport")
				if strings.Contains(th, "TCP") {
					tt.refuse(c, r)
					return
				}
				p, _ := pair(th, "client_port")
				c.vars["port"] = fmt.Sprint(p[0])
				c.reply(r, "200 OK", fmt.Sprintf("Session: 1\r\nTransport: %s;server_port=%d;source=192.0.2.7", th, port), "")
			}
			f.play = func(c *fakeConn) {
				to, _ := net.ResolveUDPAddr("udp", "127.0.0.1:"+c.vars["port"])
				for i := range 200 {
					pc.WriteTo(rtpPacket(uint16(i), uint32(i*900), 1, idr), to)
					<-time.After(5 * time.Millisecond)
				}
			}
			p := newPuller(t, f.url())
			r := p.stream.Packets.Reader("test", hub.Live)
			defer r.Close()
			for range 2 {
				stop := p.start()
				p.entries(r, 10)
				stop()
			}
			f.wait("TEARDOWN", has("TEARDOWN"))
			if n := f.count("SETUP"); n != 3 {
				t.Errorf("%d SETUPs, want TCP once and UDP twice", n)
			}
			p.spec.Transport = TCP
			if err := p.run(t.Context()); f.count("SETUP") != 4 {
				t.Errorf("TCP alone tried again, ended by %v", err)
			}
		})
	}
}

func TestReconnectHasNoSeam(t *testing.T) {
	f := newFake(t)
	f.play = func(c *fakeConn) {
		// Each connection has stamps, numbers and a source of its own.
		c.stream(20, uint16(c.n)*20000, uint32(c.n)*1_500_000_000, uint32(c.n))
		c.Close()
	}
	p := newPuller(t, f.url())
	r := p.stream.Packets.Reader("test", hub.Live)
	defer r.Close()
	var last media.Packets
	for n := range 4 {
		p.run(t.Context())
		for i, e := range p.entries(r, 20) {
			if e.N != 1 {
				t.Fatalf("an entry holds %d pictures", e.N)
			}
			if e.Gap != (n > 0 && i == 0) {
				t.Errorf("entry %d of connection %d is %s", i, n, text(e))
			}
			if n > 0 || i > 0 {
				elapsed := media.ToTicks(e.Wall.Sub(last.Wall), 90000)
				step := int64(e.Timestamp() - last.Timestamp())
				if e.Sequence() != last.Sequence()+1 || e.SSRC() != 1 {
					t.Fatalf("number %d of %d after %d", e.Sequence(), e.SSRC(), last.Sequence())
				}
				if i == 0 && step != elapsed || i > 0 && step != 900 {
					t.Errorf("stamped %d after its predecessor, arrived %d after it", step, elapsed)
				}
			}
			last = e
		}
	}
}
