package relay

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media/hub"
)

// TestAStoppedCameraSaysSo: viewers are told for how long, and not by whom.
func TestAStoppedCameraSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.add("gate", onDemand)
		until := time.Now().Add(time.Minute).Format(time.RFC3339)
		for _, row := range []struct {
			holdOff time.Duration
			want    string
		}{
			{time.Minute, "the camera is stopped until " + until},
			{0, "the camera is stopped until it is wanted again"},
			{-1, "the camera is stopped until it is started"},
		} {
			p.Stop("alice", row.holdOff)
			err := p.waitReady(t.Context())
			if !errors.Is(err, hub.ErrUnavailable) || hub.Reason(err) != row.want || !strings.Contains(err.Error(), "alice") {
				t.Errorf("told %q of %v, want %q", hub.Reason(err), err, row.want)
			}
		}
	})
}

// TestASlowCameraSaysSo: what it failed of last time is no reason.
func TestASlowCameraSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.relay.Put("gate", onDemand) // nothing pulls it
		p.report(p.State().To("starting", "", time.Now()))
		_, err := s.relay.Subscribe(t.Context(), hub.Request{Path: "gate"})
		want := fmt.Sprintf("the camera has delivered no picture within %v", onDemand.StartTimeout)
		if got := hub.Reason(err); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// lockedBuffer is a log that many write.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// lines returns the lines that hold text.
func (l *lockedBuffer) lines(text string) (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			all = append(all, line)
		}
	}
	return all
}

func TestARefusalIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		s := newSite(t)
		s.relay.log = slog.New(slog.NewTextHandler(&log, nil))
		s.add("gate", onDemand).Stop("alice", -1)
		s.crowd("gate") // 20 viewers
		if got := log.lines("viewer refused"); len(got) != 1 || !strings.Contains(got[0], "stopped by alice") ||
			!strings.Contains(got[0], "cam=gate") || !strings.Contains(got[0], "remote=192.0.2.1") {
			t.Errorf("logged %q", got)
		}
		time.Sleep(refusedEvery)
		s.crowd("gate")
		if got := log.lines("more=19"); len(got) != 1 {
			t.Errorf("logged %q", got)
		}
		for i := range 2 * maxRefused {
			s.crowd(fmt.Sprintf("unknown%d", i))
		}
		if n := len(log.lines("viewer refused")); n > 2+maxRefused {
			t.Errorf("%d lines", n)
		}
		time.Sleep(refusedEvery)
		s.crowd("another")
		if got := log.lines("cam=another"); len(got) != 1 {
			t.Errorf("logged %q", got)
		}
	})
}
