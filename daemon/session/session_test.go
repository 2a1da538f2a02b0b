package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

// ledger is an observer that checks that events come in pairs.
type ledger struct {
	t    *testing.T
	mu   sync.Mutex // guards what follows
	open map[string]bool
	seen map[string]bool
	last Event
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, open: make(map[string]bool), seen: make(map[string]bool)}
}

func (l *ledger) observe(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := e.Session.ID
	switch {
	case e.Type == Opened && !l.seen[id]:
		l.open[id], l.seen[id] = true, true
	case e.Type == Closed && l.open[id]:
		delete(l.open, id)
	default:
		l.t.Errorf("%s of session %s, seen %v, open %v", e.Type, id, l.seen[id], l.open[id])
	}
	l.last = e
}

func TestL5_OfTenKicksAndTenClosesOneCounts(t *testing.T) {
	l := newLedger(t)
	r := NewRegistry(l.observe)
	s, ctx := r.Open(t.Context(), Info{Kind: Viewer, Path: "gate"}, nil)
	var kicked, closed atomic.Int32
	tenTimes := func(n *atomic.Int32, f func() bool) {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if f() {
					n.Add(1)
				}
			})
		}
		wg.Wait()
	}
	tenTimes(&kicked, func() bool { return s.Kick("alice", "test") })
	if s.State(time.Now()) != Closing || len(r.List()) != 1 {
		t.Error("a kicked session is listed as closing until its owner closes it")
	}
	tenTimes(&closed, func() bool { return s.Close(ctx.Err()) })
	if kicked.Load() != 1 || closed.Load() != 1 || len(r.List()) != 0 {
		t.Errorf("kicked %d times, closed %d times, %d left", kicked.Load(), closed.Load(), len(r.List()))
	}
	var k *KickError
	if cause := context.Cause(ctx); !errors.As(cause, &k) || k.By != "alice" || !errors.Is(cause, ErrKicked) {
		t.Errorf("cause %v", cause)
	}
	if s.Kick("bob", "late") {
		t.Error("a session that has ended was kicked")
	}
}

func TestL7_TheReasonTellsWhoEndedIt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		kick   bool
		reason error
		want   string
		detail string
	}{
		{"kicked, whatever the owner says", true, io.EOF, "closed_by_us(alice)", "maintenance"},
		{
			"ended by an owner who names who", false,
			fmt.Errorf("pull: %w", &KickError{By: "relay", Reason: "nobody wants it"}), "closed_by_us(relay)", "nobody wants it",
		},
		{"cancelled from above", false, context.Canceled, "closed_by_us(camrelay)", "context canceled"},
		{
			"ended by a server of ours", false, media.EndedBy(media.ErrClosedHere, "the server stops"),
			"closed_by_us(camrelay)", "the server stops",
		},
		{"end of file", false, fmt.Errorf("cannot read: %w", io.EOF), "peer_closed", "cannot read: EOF"},
		{"reset", false, syscall.ECONNRESET, "peer_closed", "connection reset by peer"},
		{"left in good order", false, media.EndedBy(media.ErrPeerClosed, "TEARDOWN"), "peer_closed", "TEARDOWN"},
		{"no reason", false, nil, "peer_closed", ""},
		{"garbage", false, errors.New("invalid response"), "error:invalid response", "invalid response"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLedger(t)
			r := NewRegistry(l.observe)
			s, _ := r.Open(t.Context(), Info{Kind: Pull}, nil)
			if tc.kick {
				s.Kick("alice", "maintenance")
			}
			s.Close(tc.reason)
			e := r.Ended()[0]
			told := l.last.Session.Reason
			if e.Reason != tc.want || e.Detail != tc.detail || told != tc.want {
				t.Errorf("history %q (%q), event %q; want %q (%q)", e.Reason, e.Detail, told, tc.want, tc.detail)
			}
		})
	}
}

// TestL9_OpenedEqualsClosed opens, kicks, cancels and closes at random while
// others list, find and sample.
func TestL9_OpenedEqualsClosed(t *testing.T) {
	const rounds, workers = 500, 10
	l := newLedger(t)
	r := NewRegistry(l.observe)
	ctx, stop := context.WithCancel(t.Context())
	var readers, wg sync.WaitGroup
	readers.Go(func() { r.Run(ctx) })
	readers.Go(func() {
		for ctx.Err() == nil {
			for _, s := range r.List() {
				s.Stat(time.Now())
				s.sample(time.Now())
			}
			r.Sent("gate")
			r.Ended()
		}
	})
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(9, uint64(w)))
			for range rounds / workers {
				parent, cancel := context.WithCancel(ctx)
				var sent atomic.Uint64
				s, sctx := r.Open(parent, Info{Kind: Kinds()[rnd.IntN(4)], Path: "gate"},
					func() (uint64, uint64) { return 0, sent.Load() })
				sent.Add(rnd.Uint64N(1e6))
				var others sync.WaitGroup
				for range rnd.IntN(4) {
					others.Go(func() { s.Kick("somebody", "") })
				}
				switch rnd.IntN(3) {
				case 0:
					cancel()
				case 1:
					r.Terminate(Filter{ID: &s.ID}, "somebody", "")
				}
				if rnd.IntN(2) == 0 {
					others.Go(func() { s.Close(context.Cause(sctx)) })
				}
				s.Close(io.EOF)
				others.Wait()
				<-sctx.Done()
				cancel()
			}
		})
	}
	wg.Wait()
	stop()
	readers.Wait()
	opened, closed := r.Totals()
	if opened != rounds || closed != rounds || len(r.List()) != 0 || len(l.open) != 0 {
		t.Errorf("opened %d, closed %d of %d; %d left, %d without an end", opened, closed, rounds, len(r.List()), len(l.open))
	}
	if len(r.Ended()) != history {
		t.Errorf("%d remembered, want %d", len(r.Ended()), history)
	}
}

// lalKeys are the fields that all rows have.
var lalKeys = []string{
	"session_id", "protocol", "base_type", "remote_addr", "start_time", "read_bytes_sum", "wrote_bytes_sum",
	"bitrate_kbits", "read_bitrate_kbits", "write_bitrate_kbits",
	"kind", "published", "path", "push", "url", "user", "user_agent", "uptime_seconds", "state", "alive", "note",
}

func TestL1_L10_EveryRowHasLalsNames(t *testing.T) {
	r := NewRegistry(nil)
	want := [][3]string{
		{"rtsp", "RTSP", "PULL"},
		{"rtsps", "RTSP", "SUB"},
		{"hls", "HLS", "SUB"},
		{"rtmps", "RTMP", "PUSH"},
		{"SRT", "SRT", "PUSH"},
		{"KEEPALIVE", "KEEPALIVE", "SUB"},
	}
	for i, kind := range []Kind{Pull, Viewer, Viewer, Push, Push, Keepalive} {
		s, _ := r.Open(t.Context(), Info{Kind: kind, Protocol: want[i][0]}, nil)
		defer s.Close(nil)
		text, err := json.Marshal(s.Stat(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		var row map[string]any
		if err := json.Unmarshal(text, &row); err != nil {
			t.Fatal(err)
		}
		for _, key := range lalKeys {
			if _, ok := row[key]; !ok {
				t.Errorf("%s has no %s", kind, key)
			}
		}
		if len(row) != len(lalKeys) || row["protocol"] != want[i][1] || row["base_type"] != want[i][2] {
			t.Errorf("row %v, want %v", row, want[i])
		}
		if _, err := time.Parse(time.RFC3339, row["start_time"].(string)); err != nil {
			t.Error(err)
		}
	}
}

// TestL10_UptimeIsNotOfTheWallClock finds what makes a difference of times one
// of the monotonic clock, which a step of the other leaves alone.
func TestL10_UptimeIsNotOfTheWallClock(t *testing.T) {
	s, _ := NewRegistry(nil).Open(t.Context(), Info{}, nil)
	defer s.Close(nil)
	if !strings.Contains(s.Start.String(), " m=") {
		t.Errorf("%v has no monotonic reading", s.Start)
	}
	if got := s.Stat(s.Start.Add(time.Hour)).Uptime; got != 3600 {
		t.Errorf("uptime %v s after an hour", got)
	}
}

func TestL16_IDsAreNeverSeenTwice(t *testing.T) {
	ids := make(map[string]bool)
	for range 3 { // restarts
		r := NewRegistry(nil)
		for range 100 {
			s, _ := r.Open(t.Context(), Info{}, nil)
			ids[s.ID] = true
			s.Close(nil)
		}
	}
	if len(ids) != 300 {
		t.Errorf("%d IDs for 300 sessions", len(ids))
	}
}

func TestR21_WhatAPathHasSentNeverFalls(t *testing.T) {
	r := NewRegistry(nil)
	viewer := func(path string, sent uint64) *Session {
		s, _ := r.Open(t.Context(), Info{Kind: Viewer, Path: path}, func() (uint64, uint64) { return 0, sent })
		return s
	}
	first, second, yard := viewer("gate", 1000), viewer("gate", 200), viewer("yard", 7)
	defer yard.Close(nil)
	push, ctx := r.Open(t.Context(), Info{Kind: Push, Path: "gate"}, func() (uint64, uint64) { return 0, 50 })
	defer push.Close(nil)
	if got := r.Sent("gate"); got != 1200 {
		t.Errorf("sent %d, want 1200", got)
	}
	first.Close(nil)
	if got := r.Sent("gate"); got != 1200 {
		t.Errorf("sent %d once a viewer has left, want 1200", got)
	}
	if got := r.SentByPath(); got["gate"] != 1200 || got["yard"] != 7 || len(got) != 2 {
		t.Errorf("sent by path %v, want gate 1200 and yard 7", got)
	}
	removed := errors.New("removed")
	r.KickPath("gate", removed)
	cause := context.Cause(ctx)
	if !errors.Is(cause, removed) || !errors.Is(cause, ErrKicked) || !yard.Kick("bob", "") {
		t.Errorf("cause %v, or a session of another path was kicked", cause)
	}
	again := viewer("gate", 1)
	second.Close(nil)
	again.Close(nil)
	if got := r.Sent("gate"); got != 1 {
		t.Errorf("sent %d on a new path of that name, want 1", got)
	}
	if r.Sent("nope") != 0 || len(r.tallies) != 2 {
		t.Errorf("%d paths remembered, want 2", len(r.tallies))
	}
}

func TestListIsOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry(nil)
		var ids []string
		for range 5 {
			s, _ := r.Open(t.Context(), Info{}, nil)
			ids = append(ids, s.ID)
			defer s.Close(nil)
			time.Sleep(time.Second)
		}
		for i, s := range r.List() {
			if s.ID != ids[i] {
				t.Errorf("place %d has another session than opened %d.", i, i)
			}
		}
		r.List()[0].Close(nil)
		r.List()[0].Close(nil)
		if e := r.Ended(); len(e) != 2 || e[0].ID != ids[1] || e[1].ID != ids[0] {
			t.Errorf("ended %v, want the newest first", e)
		}
	})
}

func TestWhatIsSaidOfASessionIsKept(t *testing.T) {
	r := NewRegistry(nil)
	s, _ := r.Open(t.Context(), Info{Kind: Viewer}, nil)
	for _, text := range []string{"no sound", "no picture", "no sound"} {
		s.Note(text)
	}
	const want = "no sound; no picture"
	if got := s.Stat(time.Now()).Note; got != want {
		t.Errorf("open: %q", got)
	}
	s.Close(nil)
	if got := r.Ended()[0].Note; got != want {
		t.Errorf("ended: %q", got)
	}
}
