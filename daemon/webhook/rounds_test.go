package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crowd are sessions that run, and what the hook saw of them.
type crowd struct {
	mu    sync.Mutex // guards what follows
	live  map[string]Live
	asked map[string][]time.Time
	ended map[string]string // why
	say   func(r *http.Request, one Live) (code int, err error)
}

func newCrowd(n int, say func(r *http.Request, one Live) (code int, err error)) *crowd {
	c := &crowd{
		live: make(map[string]Live), asked: make(map[string][]time.Time), ended: make(map[string]string), say: say,
	}
	for i := range n {
		id := fmt.Sprintf("s%d", i)
		c.live[id] = Live{ID: id, Name: "cam1", Kind: "viewer"}
	}
	return c
}

func (c *crowd) hook(r *http.Request, body []byte) (int, string, error) {
	var one Live
	if err := json.Unmarshal(body, &one); err != nil || one.Event != eventName || r.URL.Path != "/base/"+eventName {
		return 0, "", fmt.Errorf("%s: %q, %w", r.URL.Path, body, err)
	}
	c.mu.Lock()
	c.asked[one.ID] = append(c.asked[one.ID], time.Now())
	c.mu.Unlock()
	code, err := c.say(r, one)
	return code, "<html>", err
}

func (c *crowd) sessions() []Live {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.live))
}

func (c *crowd) end(id, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[id] = why
	delete(c.live, id)
}

// asks returns how often the hook was asked for a session.
func (c *crowd) asks(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked[id])
}

func (c *crowd) rounds(t *testing.T) *Rounds {
	return &Rounds{
		Client: virtual(t, c.hook), Interval: 10 * time.Second, Sessions: c.sessions, End: c.end, Log: quiet,
	}
}

// checkSteps fails unless the session was asked each 8 to 12 s for the time.
func (c *crowd) checkSteps(t *testing.T, id string, within time.Duration) {
	t.Helper()
	c.mu.Lock()
	all := slices.Clone(c.asked[id])
	c.mu.Unlock()
	if n, want := len(all), int(within/(10*time.Second)); n < want*8/10 || n > want*12/10+1 {
		t.Errorf("%s: asked %d times in %v", id, n, within)
	}
	steps := make(map[time.Duration]bool)
	for i := 1; i < len(all); i++ {
		d := all[i].Sub(all[i-1])
		steps[d] = true
		if d < 8*time.Second || d > 12*time.Second {
			t.Errorf("%s: step of %v", id, d)
		}
	}
	if len(steps) < len(all)/2 {
		t.Errorf("%s: %d different steps of %d", id, len(steps), len(all))
	}
}

func TestRoundsEndExactlyWhomTheHookRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(40, func(_ *http.Request, one Live) (int, error) {
			if one.ID == "s7" {
				return 403, nil
			}
			return 200, nil
		})
		r := c.rounds(t)
		stop := run(r.Run)
		pass(5 * time.Minute)
		if len(c.ended) != 1 || !strings.Contains(c.ended["s7"], "403") || c.asks("s7") != 1 {
			t.Errorf("ended %v, s7 asked %d times", c.ended, c.asks("s7"))
		}
		for _, one := range c.sessions() {
			c.checkSteps(t, one.ID, 5*time.Minute)
		}
		c.end("s8", "it left")
		n := c.asks("s8")
		pass(time.Minute)
		if c.asks("s8") > n+1 {
			t.Errorf("a session that is gone is asked for %d times", c.asks("s8")-n)
		}
		if st := r.Client.Status(); st.Failed != 0 || st.Dropped != 0 || st.DegradedSince != nil {
			t.Errorf("status %+v", st)
		}
		stop() // it is context.Canceled
	})
}

func TestRoundsWithAFaultyHook(t *testing.T) {
	rows := []struct {
		name string
		say  func(r *http.Request, one Live) (int, error)
		want string // in the status
	}{
		{"it is down", func(*http.Request, Live) (int, error) { return 0, errors.New("connection refused") }, "refused"},
		{"it hangs", func(r *http.Request, _ Live) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		}, "no answer within 5s"},
		{"it says 500", func(*http.Request, Live) (int, error) { return 500, nil }, "answers 500"},
		{"it says 404", func(*http.Request, Live) (int, error) { return 404, nil }, "answers 404"},
		{"it says 401", func(*http.Request, Live) (int, error) { return 401, nil }, "answers 401"},
		{"it says 302", func(*http.Request, Live) (int, error) { return 302, nil }, "answers 302"},
	}
	for _, row := range rows {
		for _, failClosed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, on_error: fail %v", row.name, failClosed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var faulty atomic.Bool
					faulty.Store(true)
					c := newCrowd(3, func(r *http.Request, one Live) (int, error) {
						if faulty.Load() {
							return row.say(r, one)
						}
						return 200, nil
					})
					r := c.rounds(t)
					r.FailClosed = failClosed
					stop := run(r.Run)
					pass(time.Minute)
					want := 0
					if failClosed {
						want = 3
					}
					if len(c.ended) != want {
						t.Errorf("ended: %v", c.ended)
					}
					st := r.Client.Status()
					if !strings.Contains(st.LastError, row.want) || st.DegradedSince == nil || st.Delivered != 0 {
						t.Errorf("status %+v, want %q", st, row.want)
					}
					faulty.Store(false)
					c.mu.Lock()
					c.live["new"] = Live{ID: "new"}
					c.mu.Unlock()
					pass(time.Minute)
					if st := r.Client.Status(); st.DegradedSince != nil || st.Delivered == 0 {
						t.Errorf("status after recovery %+v", st)
					}
					stop() // it is context.Canceled
				})
			})
		}
	}
}

// jam is a hook that hangs.
type jam struct {
	mu            sync.Mutex // guards what follows
	hanging, most int        // calls at once
}

func (j *jam) say(r *http.Request, _ Live) (int, error) {
	j.mu.Lock()
	j.hanging++
	j.most = max(j.most, j.hanging)
	j.mu.Unlock()
	<-r.Context().Done()
	j.mu.Lock()
	j.hanging--
	j.mu.Unlock()
	return 0, r.Context().Err()
}

// TestRoundsGoOnBesideCallsThatHang: a hook that hangs for some sessions is
// asked for the others as ever, and no call piles up on another.
func TestRoundsGoOnBesideCallsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = 3
		var j jam
		c := newCrowd(30, func(r *http.Request, one Live) (int, error) {
			if one.User != "slow" {
				return 200, nil
			}
			return j.say(r, one)
		})
		for i := range slow {
			id := fmt.Sprintf("s%d", i)
			c.live[id] = Live{ID: id, User: "slow"}
		}
		r := c.rounds(t)
		r.Interval = 2 * time.Second
		stop := run(r.Run)
		pass(2 * time.Minute)
		for _, one := range c.sessions() {
			least, most := 50, 75
			if one.User == "slow" {
				least, most = 15, 25
			}
			if n := c.asks(one.ID); n < least || n > most {
				t.Errorf("%s is asked %d times, want %d to %d", one.ID, n, least, most)
			}
		}
		if st := r.Client.Status(); st.Dropped == 0 || len(c.ended) != 0 {
			t.Errorf("status %+v, ended %v", st, c.ended)
		}
		j.mu.Lock()
		if j.most != slow {
			t.Errorf("%d calls hang at once, want %d", j.most, slow)
		}
		j.mu.Unlock()
		stop() // it is context.Canceled
	})
}

// TestRoundsBoundTheirCalls has sessions come and go while all calls hang.
func TestRoundsBoundTheirCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j jam
		c := newCrowd(0, j.say)
		r := c.rounds(t)
		r.Interval = time.Second
		stop := run(r.Run)
		for round := range 10 {
			c.mu.Lock()
			clear(c.live)
			for i := range 50 {
				id := fmt.Sprintf("s%d-%d", round, i)
				c.live[id] = Live{ID: id}
			}
			c.mu.Unlock()
			pass(2 * time.Second)
		}
		err := stop()
		if j.most != inFlight {
			t.Errorf("%d calls at once, want %d", j.most, inFlight)
		}
		if err == nil || j.hanging != 0 {
			t.Errorf("Run returns %v with %d calls under way", err, j.hanging)
		}
	})
}

// TestAHookThatFailsNowAndThenDoesNotFillTheLog, as it would with a line at
// each turn.
func TestAHookThatFailsNowAndThenDoesNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(60, func(_ *http.Request, one Live) (int, error) {
			if len(one.ID)%2 == 0 {
				return 500, nil
			}
			return 200, nil
		})
		var log bytes.Buffer
		r := c.rounds(t)
		r.Log = slog.New(slog.NewTextHandler(&log, nil))
		stop := run(r.Run)
		pass(10 * time.Minute)
		stop() // it is context.Canceled
		if n := strings.Count(log.String(), "\n"); n < 2 || n > 2*11 {
			t.Errorf("%d lines in 10 minutes", n)
		}
	})
}
