package relay

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/auth"
	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
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

func TestARefusalIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log mediatest.Log
		s := newSite(t)
		s.relay.log = slog.New(slog.NewTextHandler(&log, nil))
		s.add("gate", onDemand).Stop("alice", -1)
		s.crowd("gate") // 20 viewers
		if got := log.Lines("viewer refused"); len(got) != 1 || !strings.Contains(got[0], "stopped by alice") ||
			!strings.Contains(got[0], "cam=gate") || !strings.Contains(got[0], "remote=192.0.2.1") {
			t.Errorf("logged %q", got)
		}
		time.Sleep(refusedEvery)
		s.crowd("gate")
		if got := log.Lines("more=19"); len(got) != 1 {
			t.Errorf("logged %q", got)
		}
		for i := range 2 * maxRefused {
			s.crowd(fmt.Sprintf("unknown%d", i))
		}
		if n := len(log.Lines("viewer refused")); n > 2+maxRefused {
			t.Errorf("%d lines", n)
		}
		time.Sleep(refusedEvery)
		s.crowd("another")
		if got := log.Lines("cam=another"); len(got) != 1 {
			t.Errorf("logged %q", got)
		}
	})
}

// TestWhatIsWithheld: only who is known by name and may see the camera is told
// why; the log is told always, and who is refused is counted.
func TestWhatIsWithheld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log mediatest.Log
		counted := make(map[string]int)
		s := newSite(t)
		s.relay.log = slog.New(slog.NewTextHandler(&log, nil))
		s.relay.Config.Refused = func(protocol string, _ error) { counted[protocol]++ }
		sum := sha256.Sum256([]byte("t"))
		rules := auth.Rules{Users: []auth.User{
			{Name: "bob", TokenHashes: []media.Secret{media.Secret(hex.EncodeToString(sum[:]))}, Cameras: []string{"gate"}},
		}}
		for _, row := range []struct {
			name, path, protocol, token string
			open                        bool
			want                        error
			told                        string // empty: as want
			logged                      string
		}{
			{"bob", "gate", "hls", "t", false, hub.ErrNotFound, "it is off: a.b", "it is off: a.b"},
			{"bob, of what is not his", "yard", "hls", "t", false, hub.ErrForbidden, "", "not allowed"},
			{"nobody", "gate", "hls", "", false, hub.ErrDenied, "", ""},
			{"nobody, who will not be asked", "gate", "srt", "", false, hub.ErrDenied, "", "no user, password or token"},
			{"somebody else", "gate", "hls", "x", false, hub.ErrDenied, "", "wrong user, password or token"},
			{"anybody", "gate", "flv", "", true, hub.ErrNotFound, "", "it is off: a.b"},
		} {
			rules.Open = row.open
			if _, err := s.relay.Access.Set(rules); err != nil {
				t.Fatal(err)
			}
			counted[row.protocol] = 0
			before := len(log.Lines("viewer refused"))
			err := s.relay.Withhold(t.Context(), hub.Request{
				Path: row.path, Protocol: row.protocol, Token: row.token, Remote: "192.0.2.7:9",
			}, "it is off: a.b")
			if !errors.Is(err, row.want) || hub.Reason(err) != cmp.Or(row.told, row.want.Error()) {
				t.Errorf("%s is told %q", row.name, hub.Reason(err))
			}
			lines := log.Lines("viewer refused")[before:]
			if want := row.logged != ""; (len(lines) == 1) != want || counted[row.protocol] == 1 != want ||
				want && !(strings.Contains(lines[0], row.logged) && strings.Contains(lines[0], "remote=192.0.2.7:9")) {
				t.Errorf("%s: logged %q, counted %v", row.name, lines, counted)
			}
			time.Sleep(refusedEvery)
		}
	})
}
