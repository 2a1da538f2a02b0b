package rtmp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

// TestAHostileServerEndsNothingButTheSession runs servers that break the rules.
// Whatever they do, Run returns an error of the class, which does not hold the
// stream key.
func TestAHostileServerEndsNothingButTheSession(t *testing.T) {
	const key = "s3cret-key"
	chunk := func(p peer, m message) error {
		_, err := p.Write(appendMessage(nil, streamControl, 1<<20, m))
		return err
	}
	idle := func(p peer) { _, _ = io.Copy(io.Discard, p.r) }
	after := func(f func(p peer) error) func(peer) {
		return func(p peer) {
			if p.accept() == nil && f(p) == nil {
				idle(p)
			}
		}
	}
	connected := func(f func(p peer) error) func(peer) {
		return func(p peer) {
			if p.greet() != nil {
				return
			}
			if _, err := p.await("connect"); err == nil && f(p) == nil {
				idle(p)
			}
		}
	}
	s := play(t, mediatest.MakeClip(t, mediatest.H264AAC), false)
	for name, tc := range map[string]struct {
		script func(peer)
		class  media.Class
		text   string // part of the error
	}{
		"says nothing":   {idle, media.ClassNetwork, "did not answer"},
		"closes at once": {func(peer) {}, media.ClassNetwork, "closed the connection"},
		"speaks HTTP": {
			func(p peer) { _, _ = p.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); idle(p) },
			media.ClassUnsupported, "does not speak RTMP",
		},
		"stops inside the handshake": {
			func(p peer) { _, _ = p.Write([]byte{3, 1, 2}); idle(p) }, media.ClassNetwork, "did not answer",
		},
		"greets and writes noise": {
			func(p peer) { _ = p.greet(); _, _ = p.Write([]byte(strings.Repeat("\xff\x00\x7f", 4000))); idle(p) },
			media.ClassNetwork, "malformed RTMP chunk",
		},
		"sends AMF0 that is cut short": {
			connected(func(p peer) error { return chunk(p, message{kind: typeCommand, body: []byte{2, 0, 9, 'x'}}) }),
			media.ClassNetwork, "malformed AMF0",
		},
		"sends a command without bytes": {
			connected(func(p peer) error { return chunk(p, message{kind: typeCommand}) }),
			media.ClassNetwork, "malformed AMF0",
		},
		"sets a chunk size of 0": {
			connected(func(p peer) error { return chunk(p, message{kind: typeChunkSize, body: make([]byte, 4)}) }),
			media.ClassNetwork, "malformed RTMP chunk",
		},
		"announces 16 MiB": {
			connected(func(p peer) error {
				_, err := p.Write([]byte{3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 1})
				return err
			}), media.ClassNetwork, "more than 65536 bytes",
		},
		"opens chunk streams without end": {
			connected(func(p peer) error {
				var b []byte
				for id := range byte(60) { // each announces 9 bytes and sends them
					b = append(b, 0, id, 0, 0, 0, 0, 0, 9, byte(flv.Script), 0, 0, 0, 0)
					b = append(b, make([]byte, 9)...)
				}
				_, err := p.Write(b)
				return err
			}), media.ClassNetwork, "more than 32 RTMP chunk streams",
		},
		"sends empty messages for ever": {
			connected(func(p peer) error {
				for {
					if err := chunk(p, message{kind: typeWindow}); err != nil {
						return err
					}
				}
			}), media.ClassNetwork, "more than has to be read",
		},
		"pings for ever": {
			after(func(p peer) error {
				go func() { _, _ = io.Copy(io.Discard, p.r) }()
				for {
					if err := chunk(p, message{kind: typeUserControl, body: []byte{0, 6, 0, 0, 0, 1}}); err != nil {
						return err
					}
				}
			}), media.ClassNetwork, "more than has to be read",
		},
		"sets a huge chunk size and sends audio": {
			after(func(p peer) error {
				if err := chunk(p, message{kind: typeChunkSize, body: []byte{0x7f, 0xff, 0xff, 0xff}}); err != nil {
					return err
				}
				return chunk(p, message{kind: byte(flv.Audio), body: make([]byte, 1<<20)})
			}), media.ClassNetwork, "more than 65536 bytes",
		},
		"creates a stream that is not a number": {
			connected(func(p peer) error {
				return errors.Join(p.say(0, "_result", 1.0), p.say(0, "_result", 2.0, nil, "x"))
			}), media.ClassNetwork, "created no stream",
		},
		"refuses the application": {
			connected(func(p peer) error {
				return p.say(0, "_error", 1.0, nil, info("error", "NetConnection.Connect.Rejected", "app or "+key+" is wrong"))
			}), media.ClassCredentials, "rejected (NetConnection.Connect.Rejected: app or *** is wrong)",
		},
		"wants a password": {
			connected(func(p peer) error {
				why := info("error", "NetConnection.Connect.Failed", "[ code=403 need auth; authmod=adobe ]")
				return p.say(0, "_error", 1.0, nil, why)
			}), media.ClassCredentials, "authmod=adobe",
		},
		"refuses in the middle": {
			after(func(p peer) error {
				return p.say(1, "onStatus", 0.0, nil, info("error", "NetStream.Publish.BadName", "stream "+key+" exists"))
			}), media.ClassBusy, "in use or refused (NetStream.Publish.BadName: stream *** exists)",
		},
		"invents a code": {
			after(func(p peer) error {
				return p.say(1, "onStatus", 0.0, nil, info("error", key, strings.Repeat("x\n", 999)))
			}),
			media.ClassNetwork, "the server refuses (***: x x x",
		},
		"takes nothing": {
			after(func(p peer) error { <-p.over; return io.EOF }), media.ClassNetwork, "does not take data",
		},
		"leaves in the middle of a command": {
			after(func(p peer) error { _, _ = p.Write([]byte{3, 0, 0, 0}); return io.EOF }),
			media.ClassBusy, "closed the connection at once",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, tc.script)
			timeout := 30 * time.Second // a flood takes its time on a machine that is busy
			if strings.HasSuffix(name, " nothing") || name == "stops inside the handshake" {
				timeout = 3 * time.Second
			}
			r := push(t, Spec{URL: "rtmp://" + address + "/live/" + key, Timeout: timeout}, s)
			err := r.ended(t)
			if err == nil || !strings.Contains(err.Error(), tc.text) || media.ClassOf(err) != tc.class {
				t.Errorf("%v: class %v, want %v and %q", err, media.ClassOf(err), tc.class, tc.text)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Error("the error holds the stream key")
			}
		})
	}
}

// converse gives a door the answers of a good server until it publishes, and
// returns what the door said.
func converse(tb testing.TB, d *door) []received {
	tb.Helper()
	type heard struct {
		all []received
		err error
	}
	done := make(chan heard, 1)
	address := serve(tb, func(p peer) {
		var h heard
		if h.err = p.greet(); h.err == nil {
			for _, answer := range [][]any{
				{"connect", "_result", 1.0, nil, flv.Object{{Name: "fourCcList", Value: []string{"av01", "hvc1"}}}},
				{"createStream", "_result", 2.0, nil, 7.0},
				{"publish", "onStatus", 0.0, nil, info("status", "NetStream.Publish.Start", "")},
			} {
				for h.err == nil {
					var m received
					m, h.err = p.next()
					h.all = append(h.all, m)
					if m.name() == answer[0] {
						break
					}
				}
				h.err = errors.Join(h.err, p.say(0, answer[1:]...))
			}
		}
		done <- h
		_, _ = io.Copy(io.Discard, p.r)
	})
	here, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	err = d.start()
	buf := make([]byte, 1000)
	for err == nil && d.phase != publishing {
		if len(d.reply) > 0 {
			_, err = here.Write(d.reply)
			d.reply = d.reply[:0]
			continue
		}
		var n int
		if n, err = here.Read(buf); err == nil {
			err = d.input(buf[:n], time.Now())
		}
	}
	h := <-done
	_ = here.Close()
	if err != nil || h.err != nil {
		tb.Fatalf("the door: %v, the server: %v", err, h.err)
	}
	return h.all
}

func TestTheConversationIsAsServersKnowIt(t *testing.T) {
	target, err := Spec{URL: "rtmps://host:444/a/b/key/with?q=1", App: "a/b", Agent: "camrelay/1"}.parse()
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(target, flv.EnhancedHEVC, Spec{}.extras)
	var names []string
	for _, m := range converse(t, d) {
		vs, _ := flv.ParseScript(m.body)
		switch m.name() {
		case "connect":
			o, _ := vs[2].(flv.Object)
			if o.Get("app") != "a/b" || o.Get("tcUrl") != "rtmps://host:444/a/b" ||
				o.Get("flashVer") != "FMLE/3.0 (compatible; camrelay/1)" || o.Get("fourCcList") == nil {
				t.Errorf("connect says %v", o)
			}
		case "publish":
			if m.stream != 7 || vs[3] != "key/with?q=1" || vs[4] != "live" {
				t.Errorf("publish says %v on stream %d", vs, m.stream)
			}
		}
		if name := m.name(); name != "" {
			names = append(names, name)
		}
	}
	if got := strings.Join(names, " "); got != "connect releaseStream FCPublish createStream publish" {
		t.Errorf("said %s", got)
	}
	if d.takes != flv.EnhancedHEVC || d.stream != 7 {
		t.Errorf("takes %b, stream %d", d.takes, d.stream)
	}
}

func TestTheDoorAnswers(t *testing.T) {
	target, err := Spec{URL: "rtmp://host/app/key"}.parse()
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(target, 0, Spec{}.extras)
	converse(t, d)
	in := appendMessage(nil, streamControl, 128, message{kind: typeUserControl, body: []byte{0, 6, 1, 2, 3, 4}})
	in = appendMessage(in, streamControl, 128, message{kind: typeWindow, body: binary.BigEndian.AppendUint32(nil, 5000)})
	in = append(in, appendMessage(nil, streamCommand, 128, message{kind: 15, body: make([]byte, 6000)})...)
	if err := d.input(in, time.Now()); err != nil {
		t.Fatal(err)
	}
	w := newWire(strings.NewReader(string(d.reply)))
	w.size = chunkSize
	pong, err1 := w.next()
	ack, err2 := w.next()
	if err1 != nil || err2 != nil || pong.kind != typeUserControl || string(pong.body) != "\x00\x07\x01\x02\x03\x04" {
		t.Errorf("pong %+v %v, then %v", pong, err1, err2)
	}
	if ack.kind != typeAck || uint64(binary.BigEndian.Uint32(ack.body)) != d.in.received {
		t.Errorf("acknowledgement %+v of %d bytes", ack, d.in.received)
	}
}

func FuzzDoor(f *testing.F) {
	say := func(vs ...any) []byte {
		return appendMessage(nil, streamCommand, 128, message{kind: typeCommand, body: flv.AppendScript(nil, vs...)})
	}
	start := info("status", "NetStream.Publish.Start", "")
	whole := slices.Concat(say("_result", 1.0, nil, flv.Object{}), say("_result", 2.0, nil, 1.0),
		say("onStatus", 0.0, nil, start))
	f.Add(whole, 7)
	f.Add(append(whole, say("onStatus", 0.0, nil, info("error", "NetStream.Publish.BadName", "key"))...), 1000)
	f.Add([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 3)
	f.Add([]byte{0xc2, 0, 0, 0, 0, 0, 4, 1}, 3)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		target, err := Spec{URL: "rtmp://host/app/key"}.parse()
		if err != nil {
			t.Fatal(err)
		}
		d := newDoor(target, flv.EnhancedHEVC, Spec{}.extras)
		now := time.Unix(0, 0)
		if err := errors.Join(d.start(), d.input(append([]byte{3}, make([]byte, handshakeIn-1)...), now)); err != nil {
			t.Fatal(err)
		}
		failed := feed(t, b, step, d.said, func(b []byte) error {
			if len(d.reply) > 1<<20 {
				t.Fatalf("has %d bytes to say", len(d.reply))
			}
			return d.input(b, now)
		})
		if failed != nil && strings.Contains(failed.Error(), "key\"") {
			t.Fatal("the error holds the stream key")
		}
	})
}

// feed hands b over in pieces until one is refused, and returns why. What
// is held may not grow without bounds.
func feed(t *testing.T, b []byte, step int, said *chunkReader, input func([]byte) error) error {
	step = 1 + step&0xfff
	var failed error
	for len(b) > 0 && failed == nil {
		n := min(step, len(b))
		failed = input(b[:n])
		b = b[n:]
		if len(said.buf) > maxMessage+64 || len(said.streams) > maxStreams || said.held > 3*maxMessage {
			t.Fatalf("holds %d bytes, %d streams, %d of messages", len(said.buf), len(said.streams), said.held)
		}
	}
	if _, ok := errors.AsType[*media.PanicError](failed); ok {
		t.Fatal(failed)
	}
	return failed
}
