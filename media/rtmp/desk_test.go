package rtmp

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestHostilePlayers lets players break the rules: the server closes their
// connections, in time, and serves others.
func TestHostilePlayers(t *testing.T) {
	s := play(t, mediatest.MakeClip(t, mediatest.H264), true)
	x := startServer(t, Config{Timeout: time.Second}, map[string]*hub.Stream{"gate": s})
	control := func(p player, m message) error {
		_, err := p.Write(appendMessage(nil, streamControl, 1<<20, m))
		return err
	}
	for name, script := range map[string]func(p player) error{
		"says nothing": func(player) error { return nil },
		"speaks HTTP": func(p player) error {
			_, err := p.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
			return err
		},
		"stops inside the handshake": func(p player) error { _, err := p.Write([]byte{3, 1, 2}); return err },
		"greets and says nothing":    player.hail,
		"connects and says no more": func(p player) error {
			return errors.Join(p.hail(), p.say(0, "connect", 1.0, flv.Object{}))
		},
		"asks before it has connected": func(p player) error {
			return errors.Join(p.hail(), p.say(1, "play", 0.0, nil, "gate"))
		},
		"connects twice": func(p player) error {
			return errors.Join(p.hail(), p.say(0, "connect", 1.0, flv.Object{}), p.say(0, "connect", 2.0, flv.Object{}))
		},
		"connects without an object": func(p player) error { return errors.Join(p.hail(), p.say(0, "connect")) },
		"sends AMF0 that is cut short": func(p player) error {
			return errors.Join(p.hail(), control(p, message{kind: typeCommand, body: []byte{2, 0, 9, 'x'}}))
		},
		"sets a chunk size of 0": func(p player) error {
			return errors.Join(p.hail(), control(p, message{kind: typeChunkSize, body: make([]byte, 4)}))
		},
		"announces 16 MiB": func(p player) error {
			_, err := p.Write([]byte{3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 1})
			return errors.Join(p.hail(), err)
		},
		"plays twice": func(p player) error {
			return errors.Join(p.ask("live", "gate", nil), p.say(1, "play", 0.0, nil, "gate"))
		},
		"sends pictures": func(p player) error {
			return errors.Join(p.ask("live", "gate", nil), control(p, message{kind: byte(flv.Video), body: make([]byte, 9)}))
		},
		"pings for ever": func(p player) error {
			if err := p.ask("live", "gate", nil); err != nil {
				return err
			}
			for {
				if control(p, message{kind: typeUserControl, body: []byte{0, 6, 0, 0, 0, 1}}) != nil {
					return nil
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dialPlayer(t, x.Addr().String())
			if err := script(p); err != nil && !closed(err) {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, p.Conn); err != nil && !closed(err) {
				t.Errorf("the server did not close the connection: %v", err)
			}
		})
	}
}

func FuzzDesk(f *testing.F) {
	say := func(vs ...any) []byte {
		return appendMessage(nil, streamCommand, 128, message{kind: typeCommand, body: flv.AppendScript(nil, vs...)})
	}
	hello := say("connect", 1.0, flv.Object{{Name: "app", Value: "live"}, {Name: "fourCcList", Value: []string{"hvc1"}}})
	play := append(say("createStream", 2.0, nil), say("play", 0.0, nil, "gate?user=a")...)
	f.Add(append(hello, play...), 7)
	f.Add(append(hello, say("publish", 3.0, nil, "gate", "live")...), 1000)
	f.Add(append(hello, say("pause", 3.0, nil, true, 0.0)...), 1)
	f.Add([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 3)
	window := message{kind: typeWindow, body: binary.BigEndian.AppendUint32(nil, 1)}
	f.Add(appendMessage(nil, streamControl, 128, window), 9)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		d := newDesk()
		now := time.Unix(0, 0)
		if err := d.input(append([]byte{3}, make([]byte, greetingIn-1)...), now); err != nil {
			t.Fatal(err)
		}
		feed(t, b, step, d.said, func(b []byte) error {
			if len(d.reply) > 16<<20 {
				t.Fatalf("has %d bytes to say", len(d.reply))
			}
			return d.input(b, now)
		})
		if d.asked {
			if name, _ := d.hello.path(d.wanted); strings.HasPrefix(name, "/") || strings.Contains(name, "//") {
				t.Fatalf("name %q", name)
			}
		}
	})
}
