package rtmp

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
)

// TestAPanicEndsTheSessionAlone breaks what reads the server's messages.
func TestAPanicEndsTheSessionAlone(t *testing.T) {
	for name, publishing := range map[string]bool{
		"while asking to publish":        false,
		"in the reader beside the media": true,
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			defer there.Close()
			c := &session{
				sender: sender{conn: here, timeout: time.Minute},
				door:   newDoor(target{key: "s3cret"}, 0, Spec{}.extras),
			}
			c.door.said = nil
			c.door.greeted = handshakeIn
			go func() {
				_, _ = there.Write([]byte("anything"))
			}()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			var err error
			if publishing {
				s := hub.NewStream("gate")
				defer s.Close()
				units := s.Units.Reader("rtmp", hub.LastStart)
				defer units.Close()
				err = c.run(t.Context(), units, flv.Config{})
			} else {
				err = c.publish(t.Context())
			}
			if _, ok := errors.AsType[*media.PanicError](err); !ok {
				t.Errorf("got %v, want the panic", err)
			}
		})
	}
}

func TestAPanicDoesNotQuoteTheStreamKey(t *testing.T) {
	d := newDoor(target{key: "s3cret", secretText: secretsOf("s3cret")}, 0, Spec{}.extras)
	err := d.guard(func() error { panic("cannot parse s3cret\n") })
	p, ok := errors.AsType[*media.PanicError](err)
	if !ok || strings.Contains(err.Error(), "s3cret") || p.Value != "cannot parse ***" {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatStopsAcknowledgingHasStalled(t *testing.T) {
	const timeout, second = 10 * time.Second, windowSize * 4 // bytes sent per second
	for name, tc := range map[string]struct {
		acks func(s int) uint32 // after s seconds
		sent func(s int) int    // in second s
		want int                // second in which it has stalled, 0 for never
	}{
		"a server that never acknowledges": {
			func(int) uint32 { return 0 }, func(int) int { return second }, 0,
		},
		"a server that always does": {
			func(s int) uint32 { return uint32(s) }, func(int) int { return second }, 0,
		},
		"a server that stops after 30 s": {
			func(s int) uint32 { return uint32(min(s, 30)) }, func(int) int { return second }, 30 + 10 + 2,
		},
		"a server that acknowledges once": {
			func(s int) uint32 { return uint32(min(s, 1)) }, func(int) int { return second }, 0,
		},
		"a server with a window of its own": {
			func(s int) uint32 { return uint32(s / 30) }, func(int) int { return second }, 0,
		},
		"a camera that rests for a minute": {
			func(s int) uint32 { return uint32(min(s, 30) + max(s-90, 0)) },
			func(s int) int {
				if s > 30 && s < 90 {
					return 0
				}
				return second
			}, 0,
		},
		"a stream so thin that acknowledgements are 20 s apart": {
			func(s int) uint32 { return uint32(s / 20) }, func(int) int { return windowSize / 20 }, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w watch
			got := 0
			for s := 1; s <= 200 && got == 0; s++ {
				n := tc.sent(s)
				w.unacked += n
				if n > 0 && w.stalled(tc.acks(s), time.Unix(int64(s), 0), timeout) {
					got = s
				}
			}
			if got != tc.want {
				t.Errorf("stalled in second %d, want %d", got, tc.want)
			}
		})
	}
}
