package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

// arrival is what a server sees of a push that was sent to it.
type arrival struct{ app, tcURL, first string }

// destination is a server that tells of the first picture of each push.
func destination(arrived chan<- arrival) func(peer) {
	return func(p peer) {
		o, err := p.connect()
		if err != nil || p.welcome(nil) != nil {
			return
		}
		a := arrival{}
		a.app, _ = o.Get("app").(string)
		a.tcURL, _ = o.Get("tcUrl").(string)
		for err == nil && a.first == "" {
			var m received
			if m, err = p.next(); err == nil && m.kind == byte(flv.Video) && m.body[1] == 1 {
				a.first = fmt.Sprintf("%d ms type %d", m.ts, m.body[0]>>4)
			}
		}
		arrived <- a
		_, _ = io.Copy(io.Discard, p.r)
	}
}

// mover is a server that asks each push to reconnect, to a tcUrl unless that is
// nil, and tells the last commands of the push.
func mover(to any, said chan<- string) func(peer) {
	return func(p peer) {
		if p.accept() != nil {
			return
		}
		o := info("status", "NetConnection.Connect.ReconnectRequest", "bye")
		if to != nil {
			o = append(o, flv.Property{Name: "tcUrl", Value: to})
		}
		err := p.say(0, "onStatus", 0.0, nil, o)
		var names []string
		for err == nil {
			var m received
			if m, err = p.next(); m.name() != "" {
				names = append(names, m.name())
			}
		}
		said <- strings.Join(names, " ")
	}
}

// TestAServerThatMoves sends a push on to a second server.
func TestAServerThatMoves(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	arrived := make(chan arrival, 9)
	second := serve(t, destination(arrived))
	for name, tc := range map[string]struct {
		to   any    // tcUrl
		app  string // where it arrives
		text string // of the error; empty: it arrives
	}{
		"elsewhere":                     {"rtmp://" + second + "/other/app?x=1", "other/app?x=1", ""},
		"elsewhere, in short":           {"//" + second + "/other", "other", ""},
		"to what is no RTMP server":     {"http://" + second + "/other", "", "it is no RTMP server"},
		"to nowhere":                    {"rtmp://" + second, "", "names no application"},
		"to what is no URL":             {"rtmp://%zz", "", "it is no URL"},
		"to where nobody listens":       {"rtmp://" + freeAddress(t) + "/app", "", "nobody listens"},
		"to the same, again and again":  {nil, "", "again and again"},
		"to the same by name, for ever": {"/app", "", "again and again"},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan string, 9)
			first := serve(t, mover(tc.to, said))
			r := push(t, Spec{URL: "rtmp://" + first + "/app/key"}, play(t, clip, true))
			if tc.text != "" {
				if err := r.ended(t); !strings.Contains(err.Error(), tc.text) {
					t.Errorf("ended with %v", err)
				}
			} else {
				a := <-arrived
				u, _ := url.Parse(a.tcURL)
				if a.app != tc.app || u.Host != second || a.first != "0 ms type 1" {
					t.Errorf("arrived %+v", a)
				}
				r.stop(errStop)
				if err := r.ended(t); !errors.Is(err, errStop) {
					t.Errorf("ended with %v", err)
				}
			}
			if got := <-said; got != "FCUnpublish closeStream deleteStream" {
				t.Errorf("said %q to the first server", got)
			}
		})
	}
}

func TestAMoveNeverShowsTheKey(t *testing.T) {
	target, err := Spec{URL: "rtmps://h/app/key"}.parse()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.moved("rtmp://h/app"); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("got %v", err)
	}
	got, err := target.moved("rtmps://other/app2")
	if err != nil || got.address != "other:443" || got.app != "app2" || got.key != "key" ||
		got.url != "rtmps://other/app2" {
		t.Errorf("got %+v, %v", got, err)
	}
}
