package audio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// bench counts encoders and says what is wrong with them.
type bench struct {
	opened, closed, blocks atomic.Int32
	stuck                  chan struct{} // encoding lasts until this is closed; nil for not at all
	panics                 atomic.Bool
	fails                  error
}

func (b *bench) open(int) (encoder, error) {
	b.opened.Add(1)
	return &fakeEncoder{b}, b.fails
}

type fakeEncoder struct{ b *bench }

func (e *fakeEncoder) encode([]int16) ([]byte, error) {
	if e.b.panics.Load() {
		panic("the library is broken")
	}
	if e.b.stuck != nil {
		<-e.b.stuck
	}
	e.b.blocks.Add(1)
	return []byte("made"), nil
}

func (e *fakeEncoder) close() { e.b.closed.Add(1) }

// cam is a camera of 25 pictures per second, key frames 1 s apart, with frames
// of audio each 20 ms.
type cam struct {
	*hub.Stream
	sent []*media.Unit
	n    int           // steps of 20 ms so far
	late time.Duration // by which audio comes after the picture stamped like it
	mute bool
	lost time.Duration // of an outage so far
	gap  map[int]bool  // tracks that have not begun again after it
}

func newCam(ts ...*media.Track) *cam {
	c := &cam{Stream: hub.NewStream("cam"), gap: make(map[int]bool)}
	c.SetTracks(ts)
	return c
}

// step sends what is due in 20 ms.
func (c *cam) step() {
	ts, _ := c.Tracks()
	at := origin + time.Duration(c.n)*20*time.Millisecond + c.lost
	for _, t := range ts {
		u := &media.Unit{Track: t, PTS: at, DTS: at, Wall: time.Now(), Data: [][]byte{make([]byte, 160)}, Gap: c.gap[t.ID]}
		switch {
		case t.Kind == media.KindVideo && c.n%2 == 0 && t.HasUnits():
			u.Key = c.n%50 == 0
		case t.Kind == media.KindAudio && t.HasUnits() && !c.mute:
			u.PTS, u.DTS = at-c.late, at-c.late
			u.Key = !slices.ContainsFunc(ts, func(t *media.Track) bool { return t.Kind == media.KindVideo && t.HasUnits() })
		default:
			continue
		}
		c.gap[t.ID] = false
		c.sent = append(c.sent, u)
		c.Units.Append(u)
	}
	c.n++
}

// play sends what is due in d, in time.
func (c *cam) play(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.step()
		time.Sleep(20 * time.Millisecond)
	}
}

// outage is nothing for d, and a gap after it.
func (c *cam) outage(d time.Duration) {
	time.Sleep(d)
	c.lost += d
	c.interrupt()
	c.n = (c.n + 49) / 50 * 50
}

// interrupt makes the next unit of each track a gap.
func (c *cam) interrupt() {
	ts, _ := c.Tracks()
	for _, t := range ts {
		c.gap[t.ID] = true
	}
}

// recorder takes what a view has.
type recorder struct {
	mu   sync.Mutex // guards got
	got  []*media.Unit
	err  error
	done sync.WaitGroup
	r    *hub.Reader[*media.Unit]
	stop context.CancelFunc
}

// soFar returns what there is up to now.
func (r *recorder) soFar() []*media.Unit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func record(s *hub.Stream) *recorder {
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{r: s.Units.Reader("recorder", hub.LastStart), stop: cancel}
	r.done.Go(func() {
		defer r.r.Close()
		for {
			u, _, err := r.r.Next(ctx)
			if err != nil {
				r.err = err
				return
			}
			r.mu.Lock()
			r.got = append(r.got, u)
			r.mu.Unlock()
		}
	})
	return r
}

// end stops the recorder and returns what it has.
func (r *recorder) end() []*media.Unit {
	synctest.Wait()
	r.stop()
	r.done.Wait()
	return r.got
}

func of(kind media.Kind, us []*media.Unit) (out []*media.Unit) {
	for _, u := range us {
		if u.Track.Kind == kind {
			out = append(out, u)
		}
	}
	return out
}

// checkVideo fails unless the pictures of got are those sent, the very units.
func checkVideo(t *testing.T, sent, got []*media.Unit) {
	t.Helper()
	s, g := of(media.KindVideo, sent), of(media.KindVideo, got)
	if len(g) == 0 || len(g) < len(s)-1 || !slices.Equal(s[len(s)-len(g):], g) {
		t.Errorf("of %d pictures %d came through, or not as they were", len(s), len(g))
	}
}

// checkAudio fails unless the audio rises and has no hole of more than most.
func checkAudio(t *testing.T, us []*media.Unit, most time.Duration) (frames []*media.Unit) {
	t.Helper()
	frames = of(media.KindAudio, us)
	for i := 1; i < len(frames); i++ {
		d := frames[i].DTS - frames[i-1].DTS
		if d < time.Millisecond || d > most && !frames[i].Gap {
			t.Errorf("audio goes from %v to %v", frames[i-1].DTS, frames[i].DTS)
		}
	}
	return frames
}

// checkAhead fails if a picture came before the audio up to it. Readers begin
// with key frames, so the audio of these comes right behind them.
func checkAhead(t *testing.T, us []*media.Unit) {
	t.Helper()
	var at time.Duration
	for i, u := range us {
		if u.Track.Kind == media.KindAudio {
			at = u.DTS
			continue
		}
		for _, next := range us[i+1:] {
			if !u.Key || next.Track.Kind == media.KindVideo {
				break
			}
			at = next.DTS
		}
		if at < u.DTS {
			t.Errorf("the picture of %v came when there was audio at %v", u.DTS, at)
		}
	}
}

func is(u *media.Unit, data string) bool { return string(u.Data[0]) == data }

const silentMono = "\x00\x00\x20\x07"
