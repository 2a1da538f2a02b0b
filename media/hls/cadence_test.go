package hls

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// camera is a source of pictures with times of its own.
type camera struct {
	name   string
	every  time.Duration // distance of pictures
	gop    int           // pictures from key frame to key frame
	jitter time.Duration // by which each stamp may be early or late
	holes  int           // one in so many pictures does not come; 0: all come
	warn   string        // what the status says of it
}

// film is what a camera shows in some time: its pictures' stamps begin at 1 s.
func (c camera) film(tb testing.TB, d time.Duration) []*media.Unit {
	tb.Helper()
	track := *mediatest.MakeClip(tb, mediatest.H264BOnly).Video()
	track.FrameRate = 0 // as with many cameras
	random := rand.New(rand.NewPCG(1, 2))
	var all []*media.Unit
	last := time.Duration(0)
	for n := range int(d / c.every) {
		at := time.Second + time.Duration(n)*c.every
		if c.jitter > 0 {
			at += time.Duration(random.Int64N(int64(2*c.jitter))) - c.jitter
		}
		key := n%c.gop == 0
		if c.holes > 0 && !key && random.IntN(c.holes) == 0 {
			continue
		}
		at = max(at, last+time.Millisecond)
		last = at
		nal := []byte{0x41, byte(n), byte(n >> 8), 1}
		if key {
			nal[0] = 0x65
		}
		all = append(all, &media.Unit{Track: &track, PTS: at, DTS: at, Key: key, Data: [][]byte{nal}})
	}
	return all
}

func TestPartsFillTheirTarget(t *testing.T) {
	for _, c := range []camera{
		{name: "25 pictures a second", every: 40 * time.Millisecond, gop: 50},
		{name: "25, with stamps that jitter", every: 40 * time.Millisecond, gop: 50, jitter: 8 * time.Millisecond},
		{name: "30, which do not fit milliseconds", every: time.Second / 30, gop: 60},
		{name: "NTSC", every: 1001 * time.Second / 30000, gop: 60, jitter: 3 * time.Millisecond},
		{name: "60", every: time.Second / 60, gop: 120, jitter: 2 * time.Millisecond},
		{name: "15, of which six are one part", every: time.Second / 15, gop: 30, jitter: 3 * time.Millisecond},
		{name: "12, of which five are too long for one", every: time.Second / 12, gop: 24, jitter: 2 * time.Millisecond},
		{name: "7", every: time.Second / 7, gop: 14},
		{name: "1, each longer than a part", every: time.Second, gop: 2, warn: "pictures are 1s apart"},
		{name: "some that do not come", every: 40 * time.Millisecond, gop: 50, holes: 20},
		{
			name: "key frames every 4 s", every: 40 * time.Millisecond, gop: 100,
			warn: "key frames are 4s apart",
		},
		{
			name: "key frames every 6 s", every: 40 * time.Millisecond, gop: 150,
			warn: "low-latency viewers start late",
		},
		{name: "key frames every second", every: 40 * time.Millisecond, gop: 25},
		{name: "odd groups", every: 40 * time.Millisecond, gop: 53},
	} {
		t.Run(c.name, func(t *testing.T) {
			units := c.film(t, 50*time.Second)
			synctest.Test(t, func(t *testing.T) {
				cfg := settings()
				cfg.Segment, cfg.Part, cfg.Window = 2*time.Second, 400*time.Millisecond, 14*time.Second
				cfg.StartTimeout = time.Minute
				s := newSiteWith(t, cfg, func(i int) *media.Unit {
					if i < len(units) {
						return units[i]
					}
					return nil
				}, units[0].Track)
				res := follow(t, s.server, s.begin(), 30*time.Second)
				for _, v := range res.Violations {
					t.Error(v)
				}
				if res.Segments < 4 || res.Parts < 25 {
					t.Errorf("%d segments, %d parts", res.Segments, res.Parts)
				}
				st, _ := s.server.Status("gate")
				if got := strings.Join(st.Warnings, "\n"); !strings.Contains(got, c.warn) || c.warn == "" && got != "" {
					t.Errorf("warnings: %q, want %q", got, c.warn)
				}
			})
		})
	}
}
