package hls

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// settings are those of the tests: clips have a key frame each second.
func settings() Config {
	return Config{
		Segment: time.Second, Part: 200 * time.Millisecond, Window: 3 * time.Second,
		StartTimeout: 5 * time.Second, Linger: 10 * time.Second,
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openRoot(tb testing.TB, dir string) *os.Root {
	tb.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { root.Close() })
	return root
}

// rig is a Muxer whose packager the test drives, unit by unit.
type rig struct {
	tb     testing.TB
	dir    string
	muxer  *Muxer
	pack   *packager
	server *Server
	wall   time.Time
	last   *listing // what the checked playlist was last time
}

func newRig(tb testing.TB, cfg Config, tracks []*media.Track) *rig {
	tb.Helper()
	return newRigIn(tb, tb.TempDir(), cfg, NewBudget(1<<30, 1<<30), tracks)
}

func newRigIn(tb testing.TB, dir string, cfg Config, budget *Budget, tracks []*media.Track) *rig {
	tb.Helper()
	return newRigOf(tb, fragmented, dir, cfg, budget, tracks)
}

func newRigOf(tb testing.TB, f form, dir string, cfg Config, budget *Budget, tracks []*media.Track) *rig {
	tb.Helper()
	r := newStillRig(tb, f, dir, cfg, budget, tracks)
	r.pack = r.muxer.open()
	return r
}

// newStillRig is newRigOf whose Muxer is not opened yet.
func newStillRig(tb testing.TB, f form, dir string, cfg Config, budget *Budget, tracks []*media.Track) *rig {
	tb.Helper()
	stream := hub.NewStream("gate")
	stream.SetTracks(append([]*media.Track(nil), tracks...))
	r := &rig{tb: tb, dir: dir, wall: time.Now()}
	root := openRoot(tb, dir)
	r.server = NewServer(cfg, root, budget, func(context.Context, hub.Request) (*hub.Subscription, error) {
		return &hub.Subscription{Stream: stream, Context: context.Background(), Close: func(error) {}}, nil
	}, quiet())
	r.server.serving = true
	r.muxer = NewMuxer(cfg, root, budget, stream, quiet())
	r.muxer.form, r.muxer.store.form = f, f
	r.server.running[product{"gate", f}] = &packaging{demand: demand{stream, f}, muxer: r.muxer, cancel: func() {}}
	return r
}

// feed packages units, whose time of day is their DTS later than the rig's.
func (r *rig) feed(units ...*media.Unit) {
	for _, u := range units {
		v := *u
		v.Wall = r.wall.Add(u.DTS)
		r.pack.unit(&v, u.Gap)
	}
}

// shift returns a copy of units whose times are later by d; the first of each
// track is a gap.
func shift(units []*media.Unit, d time.Duration) []*media.Unit {
	out := make([]*media.Unit, len(units))
	seen := make(map[int]bool)
	for i, u := range units {
		v := *u
		v.PTS += d
		v.DTS += d
		v.Gap = !seen[u.Track.ID]
		seen[u.Track.ID] = true
		out[i] = &v
	}
	return out
}

func (r *rig) get(path string) *http.Response {
	r.tb.Helper()
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Result()
}

// body returns what path serves, which must be there.
func (r *rig) body(path string) []byte {
	r.tb.Helper()
	resp := r.get(path)
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.tb.Fatalf("%s: %s %v\n%s", path, resp.Status, err, b)
	}
	return b
}

// listing is a media playlist as a player understands it.
type listing struct {
	target                  int
	sequence, discontinuity uint64
	independent             bool
	segments                []entry
}

type entry struct {
	uri, init          string
	duration           time.Duration
	wall               time.Time
	discontinuity, gap bool
	number             uint64 // discontinuity sequence number
}

func parseList(tb testing.TB, text []byte) *listing {
	tb.Helper()
	l := &listing{}
	var e entry
	var init string
	must := func(err error) {
		if err != nil {
			tb.Fatalf("%v in\n%s", err, text)
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		tag, value, _ := strings.Cut(line, ":")
		var err error
		switch tag {
		case "#EXTM3U", "#EXT-X-VERSION", "#EXT-X-ENDLIST":
		case "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-PART", "#EXT-X-PRELOAD-HINT": // of low latency
		case "#EXT-X-INDEPENDENT-SEGMENTS":
			l.independent = true
		case "#EXT-X-TARGETDURATION":
			l.target, err = strconv.Atoi(value)
		case "#EXT-X-MEDIA-SEQUENCE":
			l.sequence, err = strconv.ParseUint(value, 10, 64)
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			l.discontinuity, err = strconv.ParseUint(value, 10, 64)
		case "#EXT-X-DISCONTINUITY":
			e.discontinuity = true
		case "#EXT-X-GAP":
			e.gap = true
		case "#EXT-X-MAP":
			init = strings.Trim(strings.TrimPrefix(value, "URI="), `"`)
		case "#EXT-X-PROGRAM-DATE-TIME":
			e.wall, err = time.Parse(time.RFC3339Nano, value)
		case "#EXTINF":
			e.duration, err = time.ParseDuration(strings.TrimSuffix(value, ",") + "s")
		default:
			if strings.HasPrefix(line, "#") {
				tb.Fatalf("unknown tag %s", line)
			}
			e.uri, e.init = line, init
			e.number = l.discontinuity
			for _, s := range append(l.segments, e) {
				if s.discontinuity {
					e.number++
				}
			}
			l.segments = append(l.segments, e)
			e = entry{}
		}
		must(err)
	}
	return l
}

// check fetches the media playlist and everything in it and holds it against
// RFC 8216 and against the playlist of the last check.
func (r *rig) check() *listing {
	r.tb.Helper()
	l := parseList(r.tb, r.body("/gate/hls.m3u8"))
	if len(l.segments) == 0 || l.target == 0 {
		r.tb.Fatalf("no segment or no target duration: %+v", l)
	}
	for _, s := range l.segments {
		if got := int(s.duration.Seconds() + 0.5); got > l.target {
			r.tb.Errorf("%s lasts %v, target duration is %d", s.uri, s.duration, l.target)
		}
		if s.gap {
			continue
		}
		if init := r.body("/gate/" + s.init); !bytes.Equal(init[4:8], []byte("ftyp")) {
			r.tb.Errorf("%s begins with %q", s.init, init[4:8])
		}
		if seg := r.body("/gate/" + s.uri); !bytes.Equal(seg[4:8], []byte("moof")) {
			r.tb.Errorf("%s begins with %q", s.uri, seg[4:8])
		}
	}
	if r.last != nil {
		if err := follows(r.last, l); err != nil {
			r.tb.Errorf("%v\nbefore: %+v\nafter: %+v", err, r.last, l)
		}
	}
	r.last = l
	return l
}

// follows tells whether b is what a may become (RFC 8216 §6.2.1).
func follows(a, b *listing) error {
	if b.target != a.target {
		return fmt.Errorf("the target duration changed from %d to %d", a.target, b.target)
	}
	if b.sequence < a.sequence || b.discontinuity < a.discontinuity {
		return fmt.Errorf("a sequence number went back")
	}
	if b.independent && !a.independent {
		return fmt.Errorf("segments became independent")
	}
	for i, s := range b.segments {
		n := b.sequence + uint64(i) - a.sequence
		if n < uint64(len(a.segments)) && a.segments[n] != s {
			return fmt.Errorf("segment %d changed: %+v, %+v", b.sequence+uint64(i), a.segments[n], s)
		}
		if n < uint64(len(a.segments)) && n+1 == uint64(len(a.segments)) && i+1 < len(b.segments) {
			next := b.segments[i+1]
			if want := s.number; next.discontinuity && next.number != want+1 || !next.discontinuity && next.number != want {
				return fmt.Errorf("discontinuity numbers do not add up at %s", next.uri)
			}
		}
	}
	return nil
}
