package hls

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// pair is a Server in a bubble with the two streams of one camera.
type pair struct {
	t      *testing.T
	server *Server

	mu     sync.Mutex // guards what follows
	opened []string
	closed int
	denied string // path that is for nobody
	first  *mediatest.Clip
	second *mediatest.Clip
}

// newPair packages gate and gate_sub always, or both for viewers alone.
func newPair(t *testing.T, always bool) *pair {
	t.Helper()
	p := &pair{t: t, second: mediatest.MakeClip(t, mediatest.H264AAC)}
	streams := map[string]*hub.Stream{"gate": hub.NewStream("gate"), "gate_sub": hub.NewStream("gate_sub")}
	cfg := settings()
	cfg.Window = 10 * time.Second
	p.server = NewServer(cfg, openRoot(t, t.TempDir()), NewBudget(1<<30, 1<<30), func(
		_ context.Context, req hub.Request,
	) (*hub.Subscription, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if streams[req.Path] == nil || req.Path == p.denied {
			return nil, hub.ErrForbidden
		}
		p.opened = append(p.opened, req.Path)
		return &hub.Subscription{Stream: streams[req.Path], Context: context.Background(), Close: func(error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.closed++
		}}, nil
	}, quiet())
	p.server.Ladder("gate", []string{"gate", "gate_sub"})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { p.server.Run(ctx) }) // it returns nil
	p.first = mediatest.MakeClip(t, mediatest.H264Large)
	for name, s := range streams {
		all.Go(func() { p.play(ctx, s, name == "gate") })
		if always {
			all.Go(func() { p.server.Package(ctx, s) }) // it returns nil
		}
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	synctest.Wait()
	return p
}

// play delivers one stream. The two of a camera are connections of their own,
// with stream times of their own.
func (p *pair) play(ctx context.Context, s *hub.Stream, first bool) {
	begin, shift := time.Now(), time.Duration(0)
	if !first {
		shift = 2100 * time.Millisecond
	}
	for i := 0; ctx.Err() == nil; i++ {
		p.mu.Lock()
		clip := p.first
		if !first {
			clip = p.second
		}
		p.mu.Unlock()
		if tracks, _ := s.Tracks(); len(tracks) == 0 || tracks[0] != clip.Tracks[0] {
			s.SetTracks(append([]*media.Track(nil), clip.Tracks...))
		}
		u := clip.Unit(i)
		u.Wall = begin.Add(u.DTS)
		u.DTS, u.PTS = u.DTS+shift, u.PTS+shift
		time.Sleep(time.Until(u.Wall))
		s.Units.Append(u)
	}
}

func (p *pair) get(path string) string {
	p.t.Helper()
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		p.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func (p *pair) deny(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denied = path
}

func (p *pair) sessions() (opened []string, closed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened, p.closed
}

var anyVariant = regexp.MustCompile(`(?m)^[^#\n].*$`)

// variants returns the paths of the playlists that the multivariant playlist of
// gate lists.
func (p *pair) variants() (paths []string) {
	p.t.Helper()
	for _, uri := range anyVariant.FindAllString(p.get("/gate/index.m3u8"), -1) {
		rest, up := strings.CutPrefix(uri, "../")
		if !up {
			rest = "gate/" + uri
		}
		paths = append(paths, "/"+rest)
	}
	return paths
}

func TestALadderIsOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, true)
		time.Sleep(15 * time.Second)
		text := p.get("/gate/index.m3u8?session=x")
		if !strings.Contains(text, "RESOLUTION=640x480") || !strings.Contains(text, "RESOLUTION=320x240") ||
			strings.Index(text, "640x480") > strings.Index(text, "320x240") {
			t.Errorf("got %s", text)
		}
		p.deny("gate_sub") // alone; on the ladder it is a part of gate
		paths := p.variants()
		if len(paths) != 2 || !strings.HasPrefix(paths[1], "/gate_sub/live.m3u8?session=") {
			t.Fatalf("got %q", paths)
		}
		var all sync.WaitGroup
		for _, path := range paths {
			all.Go(func() {
				res := follow(t, p.server, path, 20*time.Second)
				for _, v := range res.Violations {
					t.Error(v)
				}
				if res.Deltas == 0 || len(res.Newest.Reports) != 1 {
					t.Errorf("%s: %d deltas, reports %+v", path, res.Deltas, res.Newest.Reports)
				}
			})
		}
		all.Wait()
		if opened, closed := p.sessions(); len(opened) != 2 || closed != 1 { // two players, of which one has left
			t.Errorf("opened %q, %d closed", opened, closed)
		}
		time.Sleep(5 * time.Second)
		if opened, closed := p.sessions(); closed != len(opened) {
			t.Errorf("opened %q, %d closed", opened, closed)
		}
	})
}

func TestVariantsPromiseTheSame(t *testing.T) {
	for _, first := range []string{"/gate/hls.m3u8", "/gate_sub/hls.m3u8", "/gate_sub/live.m3u8"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, true)
			time.Sleep(5 * time.Second)
			p.get(first)
			a, _ := p.server.Status("gate")
			b, _ := p.server.Status("gate_sub")
			if a.TargetDuration == 0 || a.TargetDuration != b.TargetDuration || a.PartTarget != b.PartTarget {
				t.Errorf("after %s: %v and %v, %v and %v", first,
					a.TargetDuration, b.TargetDuration, a.PartTarget, b.PartTarget)
			}
		})
	}
}

func TestVariantsShareTimeStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, true)
		time.Sleep(15 * time.Second)
		var zero [2]time.Time
		for i, path := range p.variants() {
			l := parseLive(t, []byte(p.get(path)))
			s := l.Segments[len(l.Segments)-1]
			body := []byte(p.get(path[:strings.LastIndex(path, "/")+1] + s.URI))
			at := bytes.Index(body, []byte("tfdt"))
			ticks := binary.BigEndian.Uint64(body[at+8:])
			zero[i] = s.DateTime.Add(-media.ToDuration(int64(ticks), 90000))
		}
		if d := zero[1].Sub(zero[0]); d.Abs() > 20*time.Millisecond {
			t.Errorf("media times of one moment are %v apart", d)
		}
	})
}

func TestALadderFollowsTheCamera(t *testing.T) {
	hevc := mediatest.MakeClip(t, mediatest.H265AAC)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, true)
		time.Sleep(5 * time.Second)
		if text := p.get("/gate/index.m3u8"); strings.Count(text, `CODECS="avc1.`) != 2 {
			t.Errorf("got %s", text)
		}
		p.mu.Lock()
		p.second = hevc
		p.mu.Unlock()
		time.Sleep(5 * time.Second)
		if text := p.get("/gate/index.m3u8"); strings.Count(text, `CODECS="avc1.`) != 1 || !strings.Contains(text, `"hvc1.`) {
			t.Errorf("got %s", text)
		}
		p.server.Ladder("gate", nil)
		if text := p.get("/gate/index.m3u8"); strings.Count(text, "STREAM-INF") != 1 || strings.Contains(text, "sub") {
			t.Errorf("got %s", text)
		}
	})
}

func TestALadderOnDemand(t *testing.T) {
	for _, tc := range []struct {
		name, denied string
		variants     int
		opened       string
	}{
		{"each stream is opened", "", 2, "gate gate_sub"},
		{"one that is refused is left out", "gate_sub", 1, "gate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, false)
				p.deny(tc.denied)
				paths := p.variants()
				if opened, _ := p.sessions(); len(paths) != tc.variants || strings.Join(opened, " ") != tc.opened {
					t.Fatalf("%q, opened %q", paths, opened)
				}
				for range 20 {
					p.get(paths[len(paths)-1])
					time.Sleep(time.Second)
				}
				opened, closed := p.sessions()
				if strings.Join(opened, " ") != tc.opened || closed != tc.variants-1 {
					t.Errorf("opened %q, %d closed", opened, closed)
				}
			})
		})
	}
}

func TestRelative(t *testing.T) {
	for _, tc := range [][3]string{
		{"gate", "gate", "live.m3u8"},
		{"gate", "gate_sub", "../gate_sub/live.m3u8"},
		{"yard/left", "yard/left_sub", "../../yard/left_sub/live.m3u8"},
		{"gate", "yard/left", "../yard/left/live.m3u8"},
	} {
		if got := relative(tc[0], tc[1], livePlaylist); got != tc[2] {
			t.Errorf("%s from %s: %s", tc[1], tc[0], got)
		}
	}
}
