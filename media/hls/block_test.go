package hls

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
	"camrelay/media/mediatest/hlscheck"
)

func TestDirectives(t *testing.T) {
	for _, tc := range []struct {
		name, query string // with the number of the open segment for OPEN, of the last whole one for LAST, …
		status      int
		waits       time.Duration // least; most is a part more
	}{
		{"without directives", "", 200, 0},
		{"a segment that is there", "_HLS_msn=LAST", 200, 0},
		{"a segment of long ago", "_HLS_msn=0", 200, 0},
		{"a part that is there", "_HLS_msn=LAST&_HLS_part=2", 200, 0},
		{"the part that comes next", "_HLS_msn=OPEN&_HLS_part=PART", 200, 100 * time.Millisecond},
		{"a part after that", "_HLS_msn=OPEN&_HLS_part=NEXT", 200, 300 * time.Millisecond},
		{"a part that its segment lacks is the next one's first", "_HLS_msn=LAST&_HLS_part=9", 200, 100 * time.Millisecond},
		{"the whole segment that is open", "_HLS_msn=OPEN", 200, 100 * time.Millisecond},
		{"two after the last", "_HLS_msn=SOON", 200, time.Second},
		{"three after the last", "_HLS_msn=LATE", 400, 0},
		{"a part too far ahead", "_HLS_msn=OPEN&_HLS_part=99", 400, 0},
		{"a part of no segment", "_HLS_part=1", 400, 0},
		{"a segment that is no number", "_HLS_msn=one", 400, 0},
		{"a negative segment", "_HLS_msn=-1", 400, 0},
		{"an enormous segment", "_HLS_msn=99999999999999999999999", 400, 0},
		{"a part that is no number", "_HLS_msn=OPEN&_HLS_part=", 400, 0},
		{"a skip of a kind that there is not", "_HLS_skip=NO", 200, 0},
		{"a directive of the future", "_HLS_push=1", 200, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				list := s.begin()
				s.poll(list, 6*time.Second)
				time.Sleep(50 * time.Millisecond) // off the times of pictures
				l := parseLive(t, s.get(list, "", "").Body.Bytes())
				open, part := l.Edge()
				query := strings.NewReplacer("OPEN", fmt.Sprint(open), "LAST", fmt.Sprint(open-1), "SOON", fmt.Sprint(open+1),
					"LATE", fmt.Sprint(open+2), "PART", fmt.Sprint(part), "NEXT", fmt.Sprint(part+1)).Replace(tc.query)
				begin := time.Now()
				w := s.get(list+"&"+query, "", "")
				waited := time.Since(begin)
				if w.Code != tc.status || waited < tc.waits-200*time.Millisecond || tc.waits == 0 && waited > 0 {
					t.Errorf("%s: got %d after %v: %s", query, w.Code, waited, w.Body)
				}
			})
		})
	}
}

func FuzzDirectives(f *testing.F) {
	for _, s := range []string{
		"", "_HLS_msn=7&_HLS_part=2&_HLS_skip=YES", "_HLS_part=1", "_HLS_msn=-1", "_HLS_msn=1&_HLS_msn=x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, _ := url.ParseQuery(query) // as servers do
		if d, err := parseDirectives(values); err == nil && (d.part < -1 || d.part >= 0 && !d.block) {
			t.Errorf("%q gives %+v", query, d)
		}
	})
}

func parseLive(t *testing.T, text []byte) *hlscheck.List {
	t.Helper()
	l, faults := hlscheck.Parse(text)
	for _, f := range faults {
		t.Error(f)
	}
	return l
}

// TestACameraThatIsAway answers who waits with an error, and who does not with
// what there is.
func TestACameraThatIsAway(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	synctest.Test(t, func(t *testing.T) {
		s := newSiteWith(t, settings(), func(i int) *media.Unit {
			if u := clip.Unit(i); u.DTS < 10*time.Second {
				return u
			}
			return nil
		}, clip.Tracks...)
		list := s.begin()
		s.poll(list, 10*time.Second)
		l := parseLive(t, s.get(list, "", "").Body.Bytes())
		open, part := l.Edge()
		for _, path := range []string{list + fmt.Sprintf("&_HLS_msn=%d&_HLS_part=%d", open, part), "/gate/" + l.Hint} {
			begin := time.Now()
			w := s.get(path, "", "")
			if d := time.Since(begin); w.Code != 503 || d != 3*l.Target || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: got %d after %v: %s", path, w.Code, d, w.Body)
			}
		}
		s.poll(list, 10*time.Second)
		if _, closed := s.door.counts(); closed != 0 {
			t.Error("a player that waited was taken for gone")
		}
		s.watch(10 * time.Second)
	})
}

func TestPartsAreServed(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(5500 * time.Millisecond)...)
	m := r.muxer
	last := m.segments[len(m.segments)-1]
	open, n := m.edge()
	if n == 0 {
		t.Fatal("nothing of the open segment is there")
	}
	whole := r.body("/gate/" + last.name)
	at := last.parts[1]
	part := "/gate/" + partName(m.session, last.sequence, 1)
	if got := r.body(part); string(got) != string(whole[at.offset:at.offset+at.size]) {
		t.Errorf("%d bytes of %d", len(got), at.size)
	}
	if got := r.body("/gate/" + partName(m.session, open, n-1)); string(got[4:8]) != "moof" {
		t.Errorf("a part of the open segment begins with %q", got[4:8])
	}
	for _, tc := range []struct {
		name, method, path string
		header             [2]string
		status, length     int
	}{
		{"headers only", "HEAD", part, [2]string{}, 200, 0},
		{"a range", "GET", part, [2]string{"Range", "bytes=8-17"}, 206, 10},
		{"a range behind its end", "GET", part, [2]string{"Range", "bytes=99999999-"}, 416, -1},
		{"one that is known already", "GET", part, [2]string{"If-None-Match", `"` + part[6:] + `"`}, 304, 0},
		{"one that its segment lacks", "GET", "/gate/" + partName(m.session, last.sequence, 99), [2]string{}, 404, -1},
		{"one after the next", "GET", "/gate/" + partName(m.session, open, n+1), [2]string{}, 404, -1},
		{"one of a segment after the next", "GET", "/gate/" + partName(m.session, open+1, 0), [2]string{}, 404, -1},
		{"one of another session", "GET", "/gate/" + partName("00000000", last.sequence, 1), [2]string{}, 404, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := httptest.NewRequest(tc.method, tc.path, nil)
			if tc.header[0] != "" {
				req.Header.Set(tc.header[0], tc.header[1])
			}
			w := httptest.NewRecorder()
			r.server.ServeHTTP(w, req)
			if w.Code != tc.status || tc.length >= 0 && w.Body.Len() != tc.length {
				t.Errorf("got %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
			}
			if tc.status == 200 && w.Header().Get("Content-Length") != fmt.Sprint(at.size) {
				t.Errorf("got %v", w.Header())
			}
		})
	}
}

// TestWhoWaitsIsWokenOnceForEachPart counts how often those who wait look.
func TestWhoWaitsIsWokenOnceForEachPart(t *testing.T) {
	const waiting = 200
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, settings(), clip.Tracks)
		units := clip.Until(8 * time.Second)
		next := 0
		feed := func(parts uint64) {
			for want := r.muxer.live + parts; r.muxer.live < want; next++ {
				r.feed(units[next])
			}
		}
		feed(12)
		var looks, served atomic.Int64
		var all sync.WaitGroup
		open, n := r.muxer.edge()
		for i := range waiting {
			d := directives{block: true, sequence: open, part: n + i%2}
			all.Go(func() {
				free := waiter{hold: func() (func(), error) { return func() {}, nil }}
				err := r.muxer.await(context.Background(), free, func() (bool, error) {
					looks.Add(1)
					return r.muxer.reached(d)
				})
				if err != nil {
					t.Error(err)
				}
				served.Add(1)
			})
		}
		synctest.Wait()
		for i, want := range []struct{ looks, served int64 }{
			{waiting, 0},
			{2 * waiting, waiting / 2},
			{5 * waiting / 2, waiting},
		} {
			if i > 0 {
				feed(1)
				synctest.Wait()
			}
			if looks.Load() != want.looks || served.Load() != want.served {
				t.Errorf("after %d parts: %d looks, %d served, want %+v", i, looks.Load(), served.Load(), want)
			}
		}
		all.Wait()
	})
}

// TestTextIsMadeOnce asks for one version of a playlist as many viewers do.
func TestTextIsMadeOnce(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(5500 * time.Millisecond)...)
	r.body("/gate/live.m3u8")
	was := r.muxer.cache.live.text
	a, b := r.body("/gate/live.m3u8?session=a"), r.body("/gate/live.m3u8?session=b")
	if r.muxer.cache.live.text != was {
		t.Error("a second viewer had the text made anew")
	}
	if strings.ReplaceAll(string(a), "session=a", "session=b") != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
	r.feed(clip.Until(7 * time.Second)[len(clip.Until(5500*time.Millisecond)):]...)
	r.body("/gate/live.m3u8")
	if r.muxer.cache.live.text == was {
		t.Error("the text of an older version is served")
	}
}

func TestWaitingEndsWithThePackaging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		list := s.begin()
		l := parseLive(t, s.get(list, "", "").Body.Bytes())
		open, _ := l.Edge()
		var codes [2]int
		var all sync.WaitGroup
		for i, path := range []string{list + fmt.Sprintf("&_HLS_msn=%d", open+1), "/gate/" + l.Hint} {
			all.Go(func() { codes[i] = s.get(path, "", "").Code })
		}
		synctest.Wait()
		begin := time.Now()
		s.stop()
		all.Wait()
		if codes != [2]int{http.StatusServiceUnavailable, http.StatusServiceUnavailable} || time.Since(begin) > time.Second {
			t.Errorf("got %v after %v", codes, time.Since(begin))
		}
		if _, err := os.Stat(s.dir); err != nil {
			t.Error(err)
		}
	})
}
