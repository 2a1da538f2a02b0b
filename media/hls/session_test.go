package hls

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// door is an Opener that counts. It belongs to a synctest bubble.
type door struct {
	stream *hub.Stream
	wait   time.Duration

	mu     sync.Mutex // guards what follows
	opened []hub.Request
	subs   []*hub.Subscription
	kick   []context.CancelCauseFunc
	closed []error
}

func (d *door) open(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	select {
	case <-time.After(d.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if req.Password == "wrong" {
		return nil, hub.ErrDenied
	}
	sctx, cancel := context.WithCancelCause(context.Background())
	sub := &hub.Subscription{Stream: d.stream, Context: sctx, Close: func(reason error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.closed = append(d.closed, reason)
		cancel(reason)
	}}
	d.opened = append(d.opened, req)
	d.subs = append(d.subs, sub)
	d.kick = append(d.kick, cancel)
	return sub, nil
}

func (d *door) counts() (opened, closed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.opened), len(d.closed)
}

// reasons returns why sessions were closed.
func (d *door) reasons() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.closed)
}

// site is a Server that runs in a bubble, with a camera that delivers.
type site struct {
	t      *testing.T
	dir    string
	door   *door
	server *Server
	stop   func() // ends Run and waits for it
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, settings(), mediatest.H264AAC)
}

func newSiteOf(t *testing.T, cfg Config, kind mediatest.Kind) *site {
	t.Helper()
	clip := mediatest.MakeClip(t, kind)
	return newSiteWith(t, cfg, func(i int) *media.Unit {
		u := clip.Unit(i)
		u.Key = u.Key || clip.Video() == nil
		return u
	}, clip.Tracks...)
}

// newSiteWith has a camera with those tracks that delivers unit(0), unit(1), …
// when their time has come, until there is none.
func newSiteWith(t *testing.T, cfg Config, unit func(int) *media.Unit, tracks ...*media.Track) *site {
	t.Helper()
	stream := hub.NewStream("gate")
	s := &site{t: t, dir: t.TempDir(), door: &door{stream: stream}}
	s.server = NewServer(cfg, openRoot(t, s.dir), NewBudget(1<<30, 1<<30), s.door.open, quiet())
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { s.server.Run(ctx) }) // it returns nil
	all.Go(func() {
		stream.SetTracks(tracks)
		begin := time.Now()
		for i := 0; ctx.Err() == nil; i++ {
			u := unit(i)
			if u == nil {
				return
			}
			u.Wall = begin.Add(u.DTS)
			time.Sleep(time.Until(u.Wall))
			stream.Units.Append(u)
		}
	})
	s.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(s.stop)
	synctest.Wait()
	return s
}

// get asks for a path as a viewer and returns the answer.
func (s *site) get(path, user, password string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, req)
	return w
}

// watch polls the media playlist as a player does that began with it.
func (s *site) watch(d time.Duration) { s.poll("/gate/hls.m3u8", d) }

func (s *site) poll(path string, d time.Duration) {
	s.t.Helper()
	for range int(d / time.Second) {
		if w := s.get(path, "", ""); w.Code != 200 {
			s.t.Errorf("got %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Second)
	}
}

var variant = regexp.MustCompile(`(?m)^live\.m3u8\S*$`)

// begin asks for the multivariant playlist and returns the path of the one
// that it names.
func (s *site) begin() string {
	s.t.Helper()
	w := s.get("/gate/index.m3u8", "", "")
	uri := variant.Find(w.Body.Bytes())
	if w.Code != 200 || uri == nil {
		s.t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return "/gate/" + string(uri)
}

func TestViewerOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		time.Sleep(3 * time.Second)
		if n := s.door.stream.Units.Readers(); n != 0 {
			t.Errorf("%d readers without a viewer", n)
		}
		begin := time.Now()
		list := s.begin()
		if d := time.Since(begin); d > 2*time.Second {
			t.Fatalf("the first segment came after %v", d)
		}
		s.poll(list, 30*time.Second)
		l := parseList(t, s.get(list, "", "").Body.Bytes())
		seg := s.get("/gate/"+l.segments[0].uri, "", "")
		if seg.Code != 200 {
			t.Errorf("got %d", seg.Code)
		}
		if opened, closed := s.door.counts(); opened != 1 || closed != 0 {
			t.Errorf("%d sessions opened, %d closed", opened, closed)
		}
		if n := s.door.subs[0].Sent.Load(); n < uint64(seg.Body.Len()) {
			t.Errorf("%d bytes counted", n)
		}
		if st, ok := s.server.Status("gate"); !ok || st.Viewers != 1 {
			t.Errorf("got %+v", st)
		}
		time.Sleep(time.Duration(l.target)*time.Second*3/2 - time.Millisecond)
		if _, closed := s.door.counts(); closed != 0 {
			t.Errorf("closed too early: %v", s.door.closed)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if _, closed := s.door.counts(); closed != 1 || !errors.Is(s.door.closed[0], errQuiet) {
			t.Errorf("closed: %v", s.door.closed)
		}
		time.Sleep(settings().Linger)
		synctest.Wait()
		if n := s.door.stream.Units.Readers(); n != 0 {
			t.Error("the packager runs without a viewer")
		}
		if files, _ := filepath.Glob(filepath.Join(s.dir, "gate", "*.m4s")); len(files) > 0 {
			t.Errorf("files are left: %v", files)
		}
		if err := os.Remove(filepath.Join(s.dir, "gate", stateName)); err != nil {
			t.Error(err)
		}
		again := parseList(t, s.get("/gate/hls.m3u8", "", "").Body.Bytes())
		if again.sequence < l.sequence+uint64(len(l.segments)) || again.target != l.target {
			t.Errorf("before %+v, after %+v", l, again)
		}
	})
}

func TestSessions(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(s *site)
		want [2]int // opened, closed
	}{
		{"a viewer with other credentials is another one", func(s *site) {
			s.get("/gate/hls.m3u8", "a", "x")
			s.get("/gate/hls.m3u8", "b", "x")
			s.get("/gate/hls.m3u8", "a", "x")
		}, [2]int{2, 0}},
		{"a viewer without credentials does not use a neighbour's session", func(s *site) {
			s.get("/gate/hls.m3u8", "a", "x")
			if w := s.get("/gate/hls.m3u8", "a", "wrong"); w.Code != 401 {
				s.t.Errorf("got %d", w.Code)
			}
		}, [2]int{1, 0}},
		{"a segment alone begins a session too", func(s *site) {
			s.get("/gate/01234567-1.m4s", "", "")
		}, [2]int{1, 0}},
		{"a viewer that is sent away may come back later", func(s *site) {
			s.get("/gate/hls.m3u8", "", "")
			s.door.kick[0](errors.New("kicked"))
			synctest.Wait()
			if w := s.get("/gate/hls.m3u8", "", ""); w.Code != 410 {
				s.t.Errorf("got %d %s", w.Code, w.Body)
			}
			time.Sleep(awayFor)
			if w := s.get("/gate/hls.m3u8", "", ""); w.Code != 200 {
				s.t.Errorf("got %d %s", w.Code, w.Body)
			}
		}, [2]int{2, 1}},
		{"requests at once open one session", func(s *site) {
			s.door.wait = time.Second
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() { s.get("/gate/hls.m3u8", "", "") })
			}
			all.Wait()
		}, [2]int{1, 0}},
		{"a request that goes away leaves the opening to the next", func(s *site) {
			s.door.wait = time.Second
			ctx, cancel := context.WithCancel(s.t.Context())
			go func() {
				req := httptest.NewRequest(http.MethodGet, "/gate/hls.m3u8", nil).WithContext(ctx)
				s.server.ServeHTTP(httptest.NewRecorder(), req)
			}()
			time.Sleep(500 * time.Millisecond)
			go cancel()
			if w := s.get("/gate/hls.m3u8", "", ""); w.Code != 200 {
				s.t.Errorf("got %d %s", w.Code, w.Body)
			}
		}, [2]int{1, 0}},
		{"the end of the server is the end of the sessions", func(s *site) {
			s.get("/gate/hls.m3u8", "", "")
			s.stop()
			if w := s.get("/gate/hls.m3u8", "", ""); w.Code != 503 {
				s.t.Errorf("got %d", w.Code)
			}
			if files, _ := filepath.Glob(filepath.Join(s.dir, "gate", "*.m*")); len(files) > 0 {
				s.t.Errorf("files are left: %v", files)
			}
		}, [2]int{1, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				tc.do(s)
				synctest.Wait()
				if opened, closed := s.door.counts(); opened != tc.want[0] || closed != tc.want[1] {
					t.Errorf("%d sessions opened, %d closed", opened, closed)
				}
				s.stop()
				if opened, closed := s.door.counts(); opened != closed {
					t.Errorf("%d sessions opened, %d closed in the end", opened, closed)
				}
			})
		})
	}
}

func TestPackageTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.watch(10 * time.Second)
		before := parseList(t, s.get("/gate/hls.m3u8", "", "").Body.Bytes())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.server.Package(ctx, s.door.stream) }()
		synctest.Wait()
		s.watch(10 * time.Second)
		after := parseList(t, s.get("/gate/hls.m3u8", "", "").Body.Bytes())
		if err := follows(before, after); err != nil || after.discontinuity+1 < before.discontinuity {
			t.Errorf("%v: %+v, %+v", err, before, after)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.watch(10 * time.Second) // on demand again
		if opened, _ := s.door.counts(); opened != 1 {
			t.Errorf("%d sessions opened", opened)
		}
	})
}

func TestNoCameraNoPlaylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.door.stream = hub.NewStream("yard") // delivers nothing
		begin := time.Now()
		w := s.get("/yard/index.m3u8", "", "")
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || time.Since(begin) != settings().StartTimeout {
			t.Errorf("after %v: %d %v", time.Since(begin), w.Code, w.Header())
		}
	})
}

func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.watch(5 * time.Second)
		s.door.stream.Close()
		if err := s.server.Remove("gate"); err != nil {
			t.Fatal(err)
		}
		if dirs, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(dirs) > 0 {
			t.Errorf("left: %v", dirs)
		}
		if err := s.server.Remove("never"); err != nil {
			t.Error(err)
		}
	})
}

func TestStartRemovesWhatACrashHasLeft(t *testing.T) {
	dir := t.TempDir()
	old, foreign := filepath.Join(dir, "yard", "0123abcd-1.m4s"), filepath.Join(dir, "yard", "notes.m4s")
	if err := os.Mkdir(filepath.Dir(old), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{old, foreign} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := NewServer(settings(), openRoot(t, dir), NewBudget(1, 1), nil, quiet())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("an old segment is left")
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}
