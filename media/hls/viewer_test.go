package hls

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// viewers returns how many sessions are open, as the status tells.
func (s *site) viewers() int {
	st, _ := s.server.Status("gate")
	return st.Viewers
}

func TestTwoPlayersOfOneAddressAreTwoViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.begin(), s.begin()
		if a == b {
			t.Fatalf("both load %s", a)
		}
		var players sync.WaitGroup
		for _, p := range []struct {
			list string
			long time.Duration
		}{{a, 20 * time.Second}, {b, 40 * time.Second}} {
			players.Go(func() {
				for end := time.Now().Add(p.long); time.Now().Before(end); time.Sleep(time.Second) {
					l := parseList(t, s.get(p.list, "", "").Body.Bytes())
					newest := l.segments[len(l.segments)-1]
					for _, file := range []string{newest.init, newest.uri} {
						if w := s.get("/gate/"+file, "", ""); w.Code != 200 {
							t.Errorf("%s: got %d", file, w.Code)
						}
					}
				}
			})
		}
		for sec := range 60 {
			want := 2
			switch { // the target duration of the clip is 1 s
			case sec > 41:
				want = 0
			case sec > 21:
				want = 1
			}
			if n := s.viewers(); n != want && sec != 21 && sec != 41 {
				t.Errorf("%d viewers after %d s, want %d", n, sec, want)
			}
			time.Sleep(time.Second)
		}
		players.Wait()
		if opened, closed := s.door.counts(); opened != 2 || closed != 2 {
			t.Errorf("%d sessions opened, %d closed", opened, closed)
		}
		for _, req := range s.door.opened {
			if req.Query.Has(sessionParameter) {
				t.Errorf("the opener is shown our query: %v", req.Query)
			}
		}
	})
}

func TestARequestUnderWayIsPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		list := s.begin()
		l := parseList(t, s.get(list, "", "").Body.Bytes())
		slow := &slowWriter{ResponseRecorder: httptest.NewRecorder(), resume: make(chan struct{})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.server.ServeHTTP(slow, httptest.NewRequest(http.MethodGet, "/gate/"+l.segments[0].uri, nil))
		}()
		time.Sleep(30 * time.Second)
		if n := s.viewers(); n != 1 {
			t.Errorf("%d viewers while one loads a segment", n)
		}
		close(slow.resume)
		<-done
		time.Sleep(quietFor(s.target()) - time.Millisecond)
		if n := s.viewers(); n != 1 {
			t.Errorf("%d viewers before one and a half target durations have passed", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := s.viewers(); n != 0 {
			t.Errorf("%d viewers after one and a half target durations", n)
		}
	})
}

func (s *site) target() time.Duration {
	st, _ := s.server.Status("gate")
	return st.TargetDuration
}

// slowWriter takes nothing until resume is closed.
type slowWriter struct {
	*httptest.ResponseRecorder
	resume chan struct{}
}

func (w *slowWriter) Write(b []byte) (int, error) {
	<-w.resume
	return w.ResponseRecorder.Write(b)
}

func TestAPlayerThatIsToldNothingLeavesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.begin()
		req := httptest.NewRequest(http.MethodHead, "/gate/index.m3u8", nil)
		s.server.ServeHTTP(httptest.NewRecorder(), req)
		if opened, closed := s.door.counts(); opened != 2 || closed != 1 || !errors.Is(s.door.closed[0], errUntold) {
			t.Errorf("%d sessions opened, %d closed: %v", opened, closed, s.door.closed)
		}
	})
}

func TestStopSendsViewersAway(t *testing.T) {
	off := errors.New("HLS is off")
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.poll(s.begin(), 5*time.Second)
		s.door.wait = time.Second // one is just coming in
		var late *httptest.ResponseRecorder
		done := make(chan struct{})
		go func() {
			defer close(done)
			late = s.get("/gate/hls.m3u8", "late", "x")
		}()
		synctest.Wait()
		s.server.Stop("yard", off)
		if _, closed := s.door.counts(); closed != 0 {
			t.Error("another camera's viewers were sent away")
		}
		s.server.Stop("gate", off)
		if closed := s.door.reasons(); len(closed) != 1 || !errors.Is(closed[0], off) {
			t.Errorf("closed: %v", closed)
		}
		if n := s.door.stream.Units.Readers(); n != 0 {
			t.Error("the packager runs on")
		}
		<-done
		if opened, closed := s.door.counts(); late.Code == 200 || opened != 2 || closed != 2 {
			t.Errorf("who was just coming in got %d; %d sessions opened, %d closed", late.Code, opened, closed)
		}
		if _, err := s.server.root.Stat("gate/" + stateName); err != nil {
			t.Errorf("the numbers of the playlist are lost: %v", err)
		}
	})
}
