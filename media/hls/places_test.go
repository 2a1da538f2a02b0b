package hls

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneAddressTakesNotAllPlaces has one address open sessions until there is
// no place for it.
func TestOneAddressTakesNotAllPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		from := func(addr, query string) *httptest.ResponseRecorder {
			req := httptest.NewRequest(http.MethodGet, "/gate/hls.m3u8?x="+query, nil)
			req.RemoteAddr = addr + ":1"
			w := httptest.NewRecorder()
			s.server.ServeHTTP(w, req)
			return w
		}
		for i := range maxSessionsFrom {
			if w := from("192.0.2.1", strconv.Itoa(i)); w.Code != 200 {
				t.Fatalf("session %d: %d %s", i, w.Code, w.Body)
			}
		}
		if w := from("192.0.2.1", "more"); w.Code != 503 || !strings.Contains(w.Body.String(), "from this address") {
			t.Errorf("one too many: %d %s", w.Code, w.Body)
		}
		for _, addr := range []string{"192.0.2.2", "127.0.0.1"} {
			if w := from(addr, "more"); w.Code != 200 {
				t.Errorf("%s: %d %s", addr, w.Code, w.Body)
			}
		}
		if w := from("192.0.2.1", "0"); w.Code != 200 {
			t.Errorf("who has a session: %d %s", w.Code, w.Body)
		}
		time.Sleep(2 * quietFor(settings().Segment))
		synctest.Wait()
		if n := s.server.places.Taken(); n != 0 {
			t.Errorf("%d places are taken by players that have gone", n)
		}
		for range 2 * maxSessionsFrom {
			req := httptest.NewRequest(http.MethodGet, "/gate/hls.m3u8", nil)
			req.SetBasicAuth("eve", "wrong")
			s.server.ServeHTTP(httptest.NewRecorder(), req)
		}
		if n := s.server.places.Taken(); n != 0 {
			t.Errorf("%d places are taken by players that were refused", n)
		}
	})
}
