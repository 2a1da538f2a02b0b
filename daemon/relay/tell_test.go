package relay

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/supervise"
	"camrelay/media"
)

// TestWhatWasRaisedIsCleared: a camera that is not well goes, in each way.
func TestWhatWasRaisedIsCleared(t *testing.T) {
	for _, row := range []struct {
		name   string
		end    func(s *site, p *Path)
		reason string
	}{
		{"it is removed", func(s *site, _ *Path) { s.relay.Drop("gate") }, "removed"},
		{"it is stopped", func(_ *site, p *Path) { p.Stop("alice", time.Hour) }, "alice"},
		{"it expires", func(*site, *Path) { time.Sleep(10 * time.Minute) }, nobody},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.run(func(ctx context.Context) { _ = s.relay.Run(ctx) })
				s.fail(media.Fail(media.ClassRefused, errors.New("connection refused")))
				p := s.add("gate", s.policy)
				release := p.Claim(Claim{Kind: ClaimKeepalive, By: "bob", Starts: true, Holds: true})
				time.Sleep(time.Minute)
				if n := len(s.told(HealthRaised)); n != 1 {
					t.Fatalf("%d raised", n)
				}
				release()
				row.end(s, p)
				time.Sleep(2 * tick)
				synctest.Wait()
				cleared := s.told(HealthCleared)
				if len(cleared) != 1 {
					t.Fatalf("%d cleared", len(cleared))
				}
				if ev := cleared[0]; ev.Recovered || !strings.Contains(ev.Reason, row.reason) {
					t.Errorf("recovered %v, because %q, want %q", ev.Recovered, ev.Reason, row.reason)
				}
				p.Health() // by somebody who still holds it
				if n := len(s.told(HealthRaised)); n != 1 {
					t.Errorf("%d raised in the end", n)
				}
			})
		})
	}
}

// TestNothingRecoversAtTheEnd: that the daemon stops says nothing of a camera that
// is not well.
func TestNothingRecoversAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.run(func(ctx context.Context) { _ = s.relay.Run(ctx) })
		s.add("gate", s.policy).Claim(Claim{Kind: ClaimKeepalive, By: "bob", Starts: true, Holds: true})
		time.Sleep(time.Minute) // nothing comes
		if n := len(s.told(HealthRaised)); n != 1 {
			t.Fatalf("%d raised", n)
		}
		s.relay.Close()
		time.Sleep(time.Minute)
		if cleared := s.told(HealthCleared); len(cleared) != 0 {
			t.Errorf("cleared: %+v", cleared)
		}
		if not := s.told(PathNotReady); len(not) != 1 || not[0].Reason != errStops.Error() {
			t.Errorf("not ready: %+v", not)
		}
	})
}

// TestEventsAreToldInOrder: whoever changes the state of a path, each ready is
// followed by a not_ready.
func TestEventsAreToldInOrder(t *testing.T) {
	var told []EventType
	s := newSite(t)
	s.relay.Observe = func(ev Event) { told = append(told, ev.Type) } // one at a time
	p := s.relay.Put("gate", onDemand)
	var wg sync.WaitGroup
	const rounds, workers = 500, 4
	for range workers {
		wg.Go(func() {
			for range rounds {
				now := time.Now()
				p.report(p.State().To(supervise.Active, "", now))
				p.report(p.State().To(supervise.Idle, "", now))
			}
		})
	}
	wg.Wait()
	p.tell()
	if len(told) == 0 || len(told)%2 != 0 {
		t.Fatalf("%d events", len(told))
	}
	for pair := range slices.Chunk(told, 2) {
		if pair[0] != PathReady || pair[1] != PathNotReady {
			t.Fatalf("%v in %d events", pair, len(told))
		}
	}
}

// TestAPathThatIsGoneDoesNotExpire: whoever pulls it yet waits to be told to stop.
func TestAPathThatIsGoneDoesNotExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.add("gate", s.policy)
		synctest.Wait()
		s.relay.Close()
		time.Sleep(2 * s.policy.IdleAfter)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.expired) > 0 {
			t.Errorf("%q have expired", s.expired)
		}
	})
}
