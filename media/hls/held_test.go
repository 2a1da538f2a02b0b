package hls

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowd are players that ask for the segment after the one that is open.
type crowd struct {
	*site
	all   sync.WaitGroup
	mu    sync.Mutex // guards codes
	codes map[int]int
}

// ask has somebody at that address ask, and returns the answer if there is one at
// once.
func (c *crowd) ask(from, path string) (answer *httptest.ResponseRecorder, held bool) {
	c.t.Helper()
	w := httptest.NewRecorder()
	answered := make(chan struct{})
	c.all.Go(func() {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.RemoteAddr = from + ":1"
		c.server.ServeHTTP(w, req)
		c.mu.Lock()
		c.codes[w.Code]++
		c.mu.Unlock()
		close(answered)
	})
	synctest.Wait()
	select {
	case <-answered:
		return w, false
	default:
		return nil, true
	}
}

// fill has n requests held of one after another address or path, and fails
// unless the next one is refused with the status.
func (c *crowd) fill(n, status int, next func(i int) (from, path string)) {
	c.t.Helper()
	for i := range n {
		if w, held := c.ask(next(i)); !held {
			c.t.Fatalf("request %d of %d: %d %s", i, n, w.Code, w.Body)
		}
	}
	w, held := c.ask(next(n))
	if held || w.Code != status || w.Header().Get("Retry-After") == "" {
		c.t.Fatalf("request %d, one too many: held %v, %d %s", n, held, w.Code, w.Body)
	}
}

// TestRequestsThatAreHeldAreBounded has as many requests wait for the next segment
// as may, and one more.
func TestRequestsThatAreHeldAreBounded(t *testing.T) {
	const one, other = "192.0.2.1", "192.0.2.2"
	for _, tc := range []struct {
		name   string
		limit  int
		status int
		next   func(i int, player, query string) (from, path string)
		free   func(player, query string) (from, path string) // is held all the same
	}{
		{
			"one player", maxHeldBy, 503,
			func(_ int, player, query string) (string, string) { return one, player + query },
			func(_, query string) (string, string) { return one, "/gate/live.m3u8?session=other" + query },
		},
		{
			"one address", maxHeldFrom, 503,
			func(_ int, _, query string) (string, string) { return one, "/gate/live.m3u8?x=y" + query },
			func(player, query string) (string, string) { return other, player + query },
		},
		{
			"all", maxHeld, 503,
			func(i int, _, query string) (string, string) {
				return fmt.Sprintf("198.51.100.%d", i%200), "/gate/live.m3u8?x=y" + query
			},
			nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{site: newSite(t), codes: make(map[int]int)}
				player := c.begin()
				open, _ := parseLive(t, c.get(player, "", "").Body.Bytes()).Edge()
				query := fmt.Sprintf("&_HLS_msn=%d", open+1)
				c.fill(tc.limit, tc.status, func(i int) (string, string) { return tc.next(i, player, query) })
				held := tc.limit
				if tc.free != nil {
					if w, ok := c.ask(tc.free(player, query)); !ok {
						t.Errorf("somebody else is refused: %d %s", w.Code, w.Body)
					}
					held++
				}
				if w := c.get(player, "", ""); w.Code != 200 {
					t.Errorf("what need not wait: %d %s", w.Code, w.Body)
				}
				time.Sleep(5 * time.Second)
				c.all.Wait()
				if c.codes[200] != held || c.codes[tc.status] != 1 {
					t.Errorf("answers %v, want %d of 200 and one of %d", c.codes, held, tc.status)
				}
				if n := c.server.held.Taken(); n != 0 {
					t.Errorf("%d requests are held after all", n)
				}
				open, _ = parseLive(t, c.get(player, "", "").Body.Bytes()).Edge()
				if w := c.get(player+fmt.Sprintf("&_HLS_msn=%d", open), "", ""); w.Code != 200 {
					t.Errorf("later: %d %s", w.Code, w.Body)
				}
			})
		})
	}
}
