package hls

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
	"camrelay/media/mpegts"
)

// transportRig is a rig whose packager makes segments of MPEG-TS.
type transportRig struct {
	*rig
	mux  *mpegts.Muxer
	form *stretch
}

func newTransportRig(t *testing.T, dir string, cfg Config, budget *Budget, tracks []*media.Track) *transportRig {
	t.Helper()
	r := &transportRig{rig: newRigOf(t, transport, dir, cfg, budget, tracks), mux: mpegts.New(tracks)}
	r.form = &stretch{of: r.pack}
	r.pack.form = r.form
	return r
}

// feed muxes and packages units.
func (r *transportRig) feed(units ...*media.Unit) {
	for _, u := range units {
		v := *u
		v.Wall = r.wall.Add(u.DTS)
		for _, c := range r.mux.Chunks(&v, nil) {
			r.form.take(&c, false)
		}
	}
}

// check is that of the rig for ts.m3u8: each segment begins with the tables,
// and nothing is told that old players do not know.
func (r *transportRig) check() *listing {
	r.tb.Helper()
	text := r.body("/gate/ts.m3u8")
	for _, tag := range []string{"EXT-X-MAP", "EXT-X-GAP", "EXT-X-PART", "EXT-X-SERVER", "EXT-X-PRELOAD", "EXT-X-SKIP"} {
		if bytes.Contains(text, []byte(tag)) {
			r.tb.Errorf("%s in\n%s", tag, text)
		}
	}
	if !bytes.Contains(text, []byte("#EXT-X-VERSION:3\n")) {
		r.tb.Errorf("not of version 3:\n%s", text)
	}
	l := parseList(r.tb, text)
	for _, s := range l.segments {
		c := mpegts.Chunk{Data: r.body("/gate/" + s.uri)}
		if len(c.Data)%mpegts.PacketSize != 0 || c.Tables() == nil || !strings.HasSuffix(s.uri, ".ts") {
			r.tb.Errorf("%s has %d bytes and begins with % x", s.uri, len(c.Data), c.Data[:8])
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

func TestTransportPlays(t *testing.T) {
	for _, kind := range []mediatest.Kind{
		mediatest.H264AAC, mediatest.H264B, mediatest.H264Opus, mediatest.H265AAC, mediatest.AAC,
	} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			cfg := settings()
			cfg.Window = time.Minute
			r := newTransportRig(t, t.TempDir(), cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
			units := clip.Until(8 * time.Second)
			if kind == mediatest.AAC {
				for _, u := range units {
					u.Key = true // as package depay has it without pictures
				}
			}
			r.feed(units...)
			r.pack.stop()
			l := r.check()
			url := serveEnded(t, r.rig) + tsPlaylist
			mediatest.Decodes(t, url)
			probed := mediatest.Probe(t, url)
			for _, k := range []media.Kind{media.KindVideo, media.KindAudio} {
				want, got := len(of(units, k)), len(probed.Of(k.String()))
				if want == 0 {
					continue
				}
				if missing := want - got; missing < 0 || missing > 3 || k == media.KindVideo && missing > 0 {
					t.Errorf("%d of %d frames of %s", got, want, k)
				}
				shown := gstFrames(t, r.rig, tsPlaylist, k)
				if shown == 0 || k == media.KindVideo && shown != want {
					t.Errorf("GStreamer shows %d of %d frames of %s", shown, want, k)
				}
			}
			last := l.segments[len(l.segments)-1]
			alone := mediatest.Probe(t, filepath.Join(r.dir, "gate", last.uri))
			if v := alone.Of("video"); len(v) > 0 && !v[0].Key() {
				t.Errorf("%s begins within a group of pictures", last.uri)
			}
		})
	}
}

func TestTransportCrossesOutages(t *testing.T) {
	small, large := mediatest.MakeClip(t, mediatest.H264AAC), mediatest.MakeClip(t, mediatest.H264Large)
	cfg := settings()
	cfg.Window = time.Minute
	r := newTransportRig(t, t.TempDir(), cfg, NewBudget(1<<30, 1<<30), small.Tracks)
	want := 0
	for i, clip := range []*mediatest.Clip{small, small, large} {
		units := clip.Until(3 * time.Second)
		want += len(of(units, media.KindVideo))
		r.feed(shift(units, time.Duration(i)*20*time.Second)...)
	}
	r.pack.stop()
	l := r.check()
	if n := l.segments[len(l.segments)-1].number; n != 2 {
		t.Errorf("%d discontinuities, want 2", n)
	}
	url := serveEnded(t, r.rig) + tsPlaylist
	mediatest.Decodes(t, url)
	if got := len(mediatest.Probe(t, url).Of("video")); got != want {
		t.Errorf("ffprobe sees %d of %d pictures", got, want)
	}
}

// TestTransportHasNoGaps lets the budget run out for a while.
func TestTransportHasNoGaps(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	const total = 1 << 30
	budget := NewBudget(total, total)
	cfg := settings()
	cfg.Window = time.Minute
	r := newTransportRig(t, t.TempDir(), cfg, budget, clip.Tracks)
	r.feed(clip.Until(4500 * time.Millisecond)...)
	before := r.check()
	other := &share{}
	used, _ := budget.Used()
	budget.mu.Lock()
	budget.oldest.Init() // there is nothing to be taken
	budget.mu.Unlock()
	if _, _, ok := budget.reserve(other, total-used); !ok {
		t.Fatal("it is used up before")
	}
	r.feed(from(clip, 4500*time.Millisecond, 8*time.Second)...)
	if l := r.check(); l.sequence != before.sequence || len(l.segments) != len(before.segments) {
		t.Errorf("%d segments became %d", len(before.segments), len(l.segments))
	}
	budget.release(other, total-used)
	r.feed(from(clip, 8*time.Second, 12500*time.Millisecond)...)
	after := r.check()
	if st := r.muxer.Status(); st.Gaps < 3 || st.Gaps > 5 {
		t.Errorf("%d segments could not be written", st.Gaps)
	}
	if n := after.segments[len(after.segments)-1].number; n != 1 {
		t.Errorf("%d discontinuities, want one where segments are left out: %+v", n, after)
	}
}

// from returns the units of a clip between two times.
func from(clip *mediatest.Clip, begin, end time.Duration) []*media.Unit {
	return clip.Until(end)[len(clip.Until(begin)):]
}

func TestTransportSequenceSurvivesACrash(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	dir, cfg, budget := t.TempDir(), settings(), NewBudget(1<<30, 1<<30)
	cmaf := newRigIn(t, dir, cfg, budget, clip.Tracks) // goes on all the time
	cmaf.feed(clip.Until(4 * time.Second)...)
	beside := cmaf.check()
	var before *listing
	segments := 0
	for range 3 {
		r := newTransportRig(t, dir, cfg, budget, clip.Tracks)
		r.feed(clip.Until(4500 * time.Millisecond)...)
		l := r.check()
		if before != nil && (l.sequence < before.sequence+uint64(len(before.segments)) ||
			l.target != before.target || l.segments[0].number != before.segments[0].number+1) {
			t.Errorf("%+v\ncomes after %+v", l, before)
		}
		before, segments = l, r.muxer.Status().Segments
	}
	if l := cmaf.check(); l.sequence != beside.sequence {
		t.Errorf("the other format has changed: %+v", l)
	}
	for name, want := range map[string]int{stateName: 1, transportState: 1, "*.ts": segments + 1} {
		files, err := filepath.Glob(filepath.Join(dir, "gate", name))
		if err != nil || len(files) > want || len(files) == 0 {
			t.Errorf("%v %v, want %d", files, err, want)
		}
	}
}

func TestTransportOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.poll("/gate/ts.m3u8", 5*time.Second)
		l := parseList(t, s.get("/gate/ts.m3u8", "", "").Body.Bytes())
		seg := s.get("/gate/"+l.segments[0].uri, "", "")
		if seg.Code != 200 || seg.Header().Get("Content-Type") != "video/mp2t" {
			t.Errorf("got %d %s", seg.Code, seg.Header())
		}
		if s.server.running[product{"gate", fragmented}] != nil {
			t.Error("CMAF is packaged for nobody")
		}
		s.poll("/gate/hls.m3u8", 5*time.Second)
		if s.server.running[product{"gate", transport}] == nil || s.door.stream.Units.Readers() != 2 {
			t.Errorf("%d readers, want the packager of CMAF and one muxer", s.door.stream.Units.Readers())
		}
		if opened, _ := s.door.counts(); opened != 2 || s.viewers() != 1 {
			t.Errorf("%d sessions opened, %d there", opened, s.viewers())
		}
		time.Sleep(quietFor(s.target()) + settings().Linger)
		synctest.Wait()
		if n := s.door.stream.Units.Readers(); n != 0 || len(s.server.running) != 0 {
			t.Errorf("%d readers without a viewer", n)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "gate", transportState)); err != nil {
			t.Error(err)
		}
		again := parseList(t, s.get("/gate/ts.m3u8", "", "").Body.Bytes())
		if again.sequence < l.sequence+uint64(len(l.segments)) || again.target != l.target ||
			!again.segments[0].discontinuity {
			t.Errorf("before %+v, after %+v", l, again)
		}
		s.door.stream.Close()
		synctest.Wait()
		if err := s.server.Remove("gate"); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestTransportSaysWhatItCannotCarry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mjpeg := &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG}
		s := newSiteWith(t, settings(), func(i int) *media.Unit {
			at := time.Duration(i) * 40 * time.Millisecond
			return &media.Unit{Track: mjpeg, PTS: at, DTS: at, Key: true, Data: [][]byte{{1}}}
		}, mjpeg)
		w := s.get("/gate/ts.m3u8", "", "")
		if w.Code != 503 || !strings.Contains(w.Body.String(), "MPEG-TS cannot carry MJPEG") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}

// TestASegmentBeginsWithTablesWhereverItIsCut cuts where the multiplex has none.
func TestASegmentBeginsWithTablesWhereverItIsCut(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	cfg := settings()
	cfg.Window = time.Minute
	r := newTransportRig(t, t.TempDir(), cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	r.feed(clip.Until(4500 * time.Millisecond)...)
	r.check() // promises how long segments are
	later := slices.Clone(from(clip, 4500*time.Millisecond, 16*time.Second))
	for i, u := range later { // no key frame comes any more
		v := *u
		v.Key = false
		later[i] = &v
	}
	r.feed(later...)
	l := r.check()
	if l.independent || len(l.segments) < 8 {
		t.Errorf("%d segments, independent: %v", len(l.segments), l.independent)
	}
	mediatest.Decodes(t, serveEnded(t, r.rig)+tsPlaylist)
}
