package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/pion/rtcp"

	"camrelay/media"
	"camrelay/media/depay"
)

// TestAPanicOverMediaEndsTheSessionAlone panics where media is taken, in the
// goroutines that gortsplib runs for each transport.
func TestAPanicOverMediaEndsTheSessionAlone(t *testing.T) {
	for _, transport := range []Transport{TCP, UDP} {
		t.Run(fmt.Sprint(transport), func(t *testing.T) {
			f := newFake(t)
			f.play = func(c *fakeConn) { c.stream(200, 1, 1, 1) }
			if transport == UDP {
				f.overUDP(t)
			}
			p := newPuller(t, f.url())
			p.spec.Transport = transport
			p.splice.units.asm = new(depay.Assembler)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := Run(ctx, p.spec, p.splice, p.stream, func() { panic("boom") }, slog.New(slog.DiscardHandler))
			if v, ok := errors.AsType[*media.PanicError](err); !ok || v.Value != "boom" {
				t.Fatalf("got %v, want the panic", err)
			}
			if p.splice.units.asm != nil {
				t.Error("what may be half done is kept for the next session")
			}
			r := p.stream.Packets.Reader("test", 0)
			defer r.Close()
			stop := p.start()
			p.entries(r, 10)
			stop()
		})
	}
}

// overUDP makes the camera send its media in datagrams.
func (f *fake) overUDP(t *testing.T) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	port := pc.LocalAddr().(*net.UDPAddr).Port
	f.answers["SETUP"] = func(c *fakeConn, r asked) {
		th := r.field("Transport")
		p, _ := pair(th, "client_port")
		c.vars["port"] = fmt.Sprint(p[0])
		c.reply(r, "200 OK", fmt.Sprintf("Session: 1\r\nTransport: %s;server_port=%d", th, port), "")
	}
	f.play = func(c *fakeConn) {
		to, _ := net.ResolveUDPAddr("udp", "127.0.0.1:"+c.vars["port"])
		for i := range 200 {
			pc.WriteTo(rtpPacket(uint16(i), uint32(i*900), 1, idr), to)
			<-time.After(5 * time.Millisecond)
		}
	}
}

func TestAPanicOverAnAnswerOrAReportEndsTheSessionAlone(t *testing.T) {
	for name, act := range map[string]func(x *session){
		"a sender report": func(x *session) { x.failed(x.report(nil, &rtcp.SenderReport{}, time.Now())) },
		"a request":       func(x *session) { x.failed(x.request(nil)) },
		"an answer": func(x *session) {
			res := &base.Response{StatusCode: base.StatusOK, Body: []byte("hostile")}
			x.answered(res, x.answer(res)) // before there is a connection
			if res.StatusCode == base.StatusOK || res.Body != nil {
				t.Error("gortsplib gets to see the answer")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			x := &session{end: cancel, in: newRig(t, NewSplice(), h264).ingest, log: slog.New(slog.DiscardHandler)}
			x.target.password = "s3cret"
			act(x)
			if _, ok := errors.AsType[*media.PanicError](context.Cause(ctx)); !ok {
				t.Errorf("ended by %v, want the panic", context.Cause(ctx))
			}
		})
	}
}

func TestAPanicDoesNotQuoteThePassword(t *testing.T) {
	x := &session{target: target{password: "s3cret"}}
	err := x.explain(fmt.Errorf("the connection has ended: %w", &media.PanicError{Value: "cannot parse s3cret"}))
	if v, ok := errors.AsType[*media.PanicError](err); !ok || v.Value != "cannot parse ***" {
		t.Errorf("got %v", err)
	}
}
