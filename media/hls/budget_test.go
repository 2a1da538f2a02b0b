package hls

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// diskUse returns the bytes in whole pages of segments and init segments below
// dir.
func diskUse(tb testing.TB, dir string) (n int64) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.m[4p]*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			tb.Fatal(err)
		}
		n += pages(info.Size())
	}
	return n
}

// padded returns units of which those of video are larger by n bytes each.
func padded(units []*media.Unit, n int) []*media.Unit {
	sei := append([]byte{6}, make([]byte, n-1)...)
	out := make([]*media.Unit, len(units))
	for i, u := range units {
		v := *u
		if u.Track.Kind == media.KindVideo {
			v.Data = append([][]byte{sei}, u.Data...)
		}
		out[i] = &v
	}
	return out
}

func TestBudget(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := padded(clip.Until(20*time.Second), 10<<10) // some 365 KiB a second
	second := int64(365 << 10)
	long := settings()
	long.Window = time.Minute
	for _, tc := range []struct {
		name             string
		perStream, total int64
		gaps             bool
		listed           int // least
	}{
		{"room for everything", 1 << 30, 1 << 30, false, 18},
		{"a stream over its own bound loses its oldest", 10 * second, 1 << 30, false, 5},
		{"all over the bound of all lose the oldest", 1 << 30, 10 * second, false, 5},
		{"room for hardly more than a segment", second * 3 / 2, 1 << 30, false, 0},
		{"no room for a segment", second / 2, 1 << 30, true, 0},
		{"no room at all", page / 2, page / 2, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			budget := NewBudget(tc.perStream, tc.total)
			budget.hold = 0 // time does not pass
			r := newRigIn(t, t.TempDir(), long, budget, clip.Tracks)
			for i, u := range units {
				r.feed(u)
				used, _ := budget.Used()
				if disk := diskUse(t, r.dir); disk > min(tc.perStream, tc.total) || disk > used {
					t.Fatalf("%d bytes on disk, %d accounted for", disk, used)
				}
				if i%29 == 0 && len(r.muxer.segments) > 2 && !tc.gaps && tc.listed > 0 {
					r.check()
				}
			}
			st := r.muxer.Status()
			if (st.Gaps > 0) != tc.gaps || (st.Err != nil) != tc.gaps || st.Listed < tc.listed {
				t.Errorf("got %+v", st)
			}
			if used, _ := budget.Used(); used != diskUse(t, r.dir) {
				t.Errorf("%d bytes accounted for, %d on disk", used, diskUse(t, r.dir))
			}
		})
	}
}

func TestBudgetOfAllTakesTheOldestWhoeverOwnsIt(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := padded(clip.Until(12*time.Second), 10<<10)
	cfg := settings()
	cfg.Window = time.Minute
	budget := NewBudget(1<<30, 3<<20)
	old := newRigIn(t, t.TempDir(), cfg, budget, clip.Tracks)
	old.feed(units...)
	had := old.muxer.Status().Bytes
	fresh := newRigIn(t, t.TempDir(), cfg, budget, clip.Tracks)
	fresh.feed(units...)
	a, b := old.muxer.Status(), fresh.muxer.Status()
	if b.Gaps > 0 || b.Listed < 6 || a.Bytes >= had {
		t.Errorf("the stream that was there has %d of %d bytes, the new one %+v", a.Bytes, had, b)
	}
	fresh.check()
}

func TestGapsAreListedAndOver(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := clip.Until(30 * time.Second)
	budget := NewBudget(1<<30, 1<<30)
	budget.hold = 0 // time does not pass
	r := newRigIn(t, t.TempDir(), settings(), budget, clip.Tracks)
	feed := func(from, to time.Duration, pad bool) {
		for _, u := range units {
			if u.DTS < from || u.DTS >= to {
				continue
			}
			if pad {
				u = padded([]*media.Unit{u}, 100<<10)[0]
			}
			r.feed(u)
		}
	}
	feed(0, 5*time.Second, false)
	r.check()
	budget.perStream = 1 << 20 // 2.5 MB a second do not fit
	feed(5*time.Second, 7*time.Second, true)
	feed(7*time.Second, 7500*time.Millisecond, false)
	l := r.check()
	gaps := 0
	for _, s := range l.segments {
		if s.gap {
			gaps++
			if resp := r.get("/gate/" + s.uri); resp.StatusCode != http.StatusNotFound {
				t.Errorf("a gap is served: %s", resp.Status)
			}
		}
	}
	if gaps != 2 || r.muxer.Status().Err == nil {
		t.Errorf("%d gaps in %+v", gaps, l.segments)
	}
	feed(7500*time.Millisecond, 20*time.Second, false)
	for _, s := range r.check().segments {
		if s.gap || s.discontinuity {
			t.Errorf("it is not over: %+v", s)
		}
	}
	if st := r.muxer.Status(); st.Err != nil || st.Gaps != 2 {
		t.Errorf("got %+v", st)
	}
}

func TestFullFileSystem(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := padded(clip.Until(60*time.Second), 10<<10)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("cannot mount a tmpfs, which this test needs root for: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cfg := settings()
	cfg.Window = time.Minute
	budget := NewBudget(1<<30, 1<<30)
	budget.hold = 0 // time does not pass
	r := newRigIn(t, dir, cfg, budget, clip.Tracks)
	hog := hog{tb: t, name: filepath.Join(dir, "filler")}
	next := 0
	feed := func(to time.Duration) {
		for ; units[next].DTS < to; next++ {
			r.feed(units[next])
			hog.grow()
		}
	}
	feed(25 * time.Second)
	if l := r.check(); len(l.segments) < 8 || r.muxer.Status().Gaps > 0 {
		t.Errorf("4 MiB hold %d segments, %+v", len(l.segments), r.muxer.Status())
	}
	hog.want = 2 << 20
	feed(35 * time.Second)
	if l := r.check(); hog.has < hog.want || len(l.segments) > 5 || r.muxer.Status().Gaps > 2 {
		t.Errorf("2 MiB hold %d segments, %+v", len(l.segments), r.muxer.Status())
	}
	hog.want = 4 << 20
	feed(45 * time.Second)
	if st := r.muxer.Status(); st.Gaps < 8 || st.Err == nil {
		t.Errorf("without room: %+v", st)
	}
	hog.want = 0
	if err := os.Remove(hog.name); err != nil {
		t.Fatal(err)
	}
	feed(58 * time.Second)
	l := r.check()
	for _, s := range l.segments[max(0, len(l.segments)-5):] {
		if s.gap || s.discontinuity {
			t.Errorf("it did not recover: %+v", s)
		}
	}
	if st := r.muxer.Status(); st.Err != nil {
		t.Errorf("got %+v", st)
	}
}

// hog is a file of somebody else that takes what it can get.
type hog struct {
	tb        testing.TB
	name      string
	want, has int
}

func (h *hog) grow() {
	f, err := os.OpenFile(h.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.tb.Fatal(err)
	}
	defer f.Close() // it is what could be written
	for h.has < h.want {
		n, err := f.Write(make([]byte, page))
		h.has += n
		if err != nil {
			return
		}
	}
}

func TestBudgetIsSharedAtOnce(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	budget, dir := NewBudget(2<<20, 3<<20), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var feeds, runs sync.WaitGroup
	var muxers []*Muxer
	for _, name := range []string{"a", "b", "c", "d"} {
		stream := hub.NewStream(name)
		stream.SetTracks(append([]*media.Track(nil), clip.Tracks...))
		m := NewMuxer(settings(), openRoot(t, dir), budget, stream, quiet())
		muxers = append(muxers, m)
		runs.Go(func() { m.Run(ctx) })
		feeds.Go(func() {
			for stream.Units.Readers() == 0 {
				runtime.Gosched()
			}
			for i := 0; m.Status().Sequence < 30; i++ {
				stream.Units.Append(padded([]*media.Unit{clip.Unit(i)}, 10<<10)...)
				runtime.Gosched()
			}
		})
	}
	feeds.Wait()
	if used, _ := budget.Used(); used > 3<<20 || used < 1<<20 {
		t.Errorf("%d bytes accounted for", used)
	}
	cancel()
	runs.Wait()
	if used, _ := budget.Used(); used != 0 || diskUse(t, dir) != 0 {
		t.Errorf("%d bytes accounted for, %d on disk", used, diskUse(t, dir))
	}
	for _, m := range muxers {
		if st := m.Status(); st.Bytes != 0 {
			t.Errorf("got %+v", st)
		}
	}
}
