package dash

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/fmp4"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// site has a stream that has run for a minute when a test begins: what it will
// have had is made in advance, and is there when its time has come.
type site struct {
	url      string
	begun    sync.Once
	epoch    time.Time // as of the first request: players may take long to start
	clock    func() time.Time
	segments []made
}

// made is a segment as it will be.
type made struct {
	cmaf.Segment
	data  []byte
	parts []part
}

// part is there from a media time on.
type part struct {
	from time.Duration
	size int64
}

const (
	uptime  = time.Minute
	session = "0123abcd"
	kept    = 8 * time.Second
)

// newSite serves clip at url for that long. It has nothing of groups of pictures
// that begin in an outage, between two media times.
func newSite(t *testing.T, clip *mediatest.Clip, length time.Duration, outages ...[2]time.Duration) *site {
	t.Helper()
	s := &site{clock: time.Now}
	mux := fmp4.NewMuxer(clip.Tracks)
	first := uptime - kept // of what is made
	mux.Shift = first - clip.Unit(0).PTS
	was := -time.Second
	out := false
	var open *made
	for i := 0; ; i++ {
		u := clip.Unit(i)
		at := u.PTS + mux.Shift
		if at > uptime+length {
			break
		}
		lead := u.Track.Kind == media.KindVideo
		if lead && u.Key {
			out = slices.ContainsFunc(outages, func(o [2]time.Duration) bool { return o[0] <= at && at < o[1] })
		}
		if lead && u.Key || out {
			s.end(t, mux, open, u, was)
			open = nil
		}
		if out {
			continue
		}
		if open == nil {
			if !lead || !u.Key {
				continue
			}
			open = s.next(clip.Tracks, at)
		}
		if lead {
			if n := (at - open.Start) / (200 * time.Millisecond); int(n) > len(open.parts) {
				open.flush(t, mux, u, at)
			}
			was = max(was, at)
		}
		mux.Add(u)
	}
	h := New(Config{}, s, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// next begins a segment, which continues the one before unless there is a gap.
func (s *site) next(tracks []*media.Track, at time.Duration) *made {
	m := made{Segment: cmaf.Segment{
		Session: session, Init: 1, Tracks: tracks, RunStart: at, Start: at, Independent: true,
	}}
	if n := len(s.segments); n > 0 {
		last := &s.segments[n-1]
		m.Run, m.RunStart = last.Run, last.RunStart
		if at-last.Start-last.Duration > joint {
			m.Run, m.RunStart = last.Run+1, at
		}
	}
	return &m
}

func (m *made) flush(t *testing.T, mux *fmp4.Muxer, next *media.Unit, at time.Duration) {
	t.Helper()
	bufs, _ := mux.Flush(nil, next)
	m.data = append(m.data, bytes.Join(bufs, nil)...)
	m.parts = append(m.parts, part{at, int64(len(m.data))})
}

// end ends open, whose last picture is shown from last on.
func (s *site) end(t *testing.T, mux *fmp4.Muxer, open *made, next *media.Unit, last time.Duration) {
	t.Helper()
	if open == nil {
		return
	}
	open.Duration = last + frame - open.Start
	open.flush(t, mux, next, last+frame)
	s.segments = append(s.segments, *open)
}

func (s *site) now() time.Duration { return s.clock().Sub(s.epoch) }

func (s *site) Enter(_ *http.Request, name string, _ bool) (Visit, error) {
	if name != "gate" {
		return nil, hub.ErrNotFound
	}
	s.begin()
	return s, nil
}

func (s *site) begin() {
	s.begun.Do(func() { s.epoch = s.clock().Add(-uptime) })
}

func (s *site) Leave(uint64, bool) {}

func (s *site) Windows(context.Context) []cmaf.Window {
	s.begin()
	w := cmaf.Window{
		Name: "gate", Epoch: s.epoch, Target: 2 * time.Second, Part: 200 * time.Millisecond,
		Bandwidth: []int{400_000, 70_000}, FrameRate: 25,
	}
	now := s.now()
	for _, m := range s.segments {
		if m.Start < now-kept || m.parts[0].from > now {
			continue
		}
		c := m.Segment
		if c.Open = m.Start+m.Duration > now; c.Open {
			c.Duration = now - m.Start
		}
		w.Segments = append(w.Segments, c)
	}
	return []cmaf.Window{w}
}

func (s *site) Tracks(id string, number int64) []*media.Track {
	for _, m := range s.segments {
		if m.Session == id && int64(m.Init) == number {
			return m.Segment.Tracks
		}
	}
	return nil
}

func (s *site) Open(_ context.Context, id string, start int64) (Segment, error) {
	for i := range s.segments {
		if m := &s.segments[i]; m.Ticks() == start && id == m.Session && m.parts[0].from <= s.now() {
			return growing{bytes.NewReader(m.data), s, m}, nil
		}
	}
	return nil, os.ErrNotExist
}

// growing is an open segment of a site.
type growing struct {
	*bytes.Reader
	site *site
	of   *made
}

func (growing) Close() error             { return nil }
func (g growing) Tracks() []*media.Track { return g.of.Tracks }

func (g growing) Size(ctx context.Context, after int64) (size int64, complete bool, err error) {
	for i, p := range g.of.parts {
		last := i == len(g.of.parts)-1
		if !last && (p.size <= after || g.of.parts[i+1].from <= g.site.now()) {
			continue
		}
		due := time.NewTimer(p.from - g.site.now())
		defer due.Stop()
		select {
		case <-due.C:
			return p.size, last, nil
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
	panic("a segment without parts")
}
