package audio

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

func TestSilenceRunsAheadOfThePictures(t *testing.T) {
	for name, ts := range map[string][]*media.Track{
		"a camera without audio": {video}, "a camera with AAC": {video, aacMono},
		"a camera with audio that nobody knows": {video, g726},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, b := newCam(ts...), &bench{}
				view, release := open(c.Stream, Mode{Policy: Silent}, b.open, nil)
				r := record(view)
				c.play(3 * time.Second)
				c.outage(7 * time.Second)
				c.play(3 * time.Second)
				got := r.end()
				checkVideo(t, c.sent, got)
				checkAhead(t, got)
				frames := checkAudio(t, got, 22*time.Millisecond)
				if n := len(frames); n < 270 || n > 290 {
					t.Errorf("%d frames in 6 s", n)
				}
				gaps := 0
				for _, u := range frames {
					if !is(u, silentMono) || u.Key || u.Wall.IsZero() || u.Track != frames[0].Track {
						t.Fatalf("frame %+v", u)
					}
					if u.Gap {
						gaps++
					}
				}
				if gaps != 1 || b.opened.Load() != 0 {
					t.Errorf("%d gaps, %d encoders", gaps, b.opened.Load())
				}
				release()
				c.Close()
			})
		})
	}
}

func TestViewsShareOneEncoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newCam(video, alaw), &bench{}
		var all []*recorder
		var releases []func()
		for _, m := range []Mode{
			{Policy: Auto}, {Policy: Auto}, {Policy: Auto, Needed: true}, {Policy: Transcode}, {Policy: Auto, Opus: true},
		} {
			view, release := open(c.Stream, m, b.open, nil)
			all, releases = append(all, record(view)), append(releases, release)
			same, releaseSame := open(c.Stream, m, b.open, nil)
			if same != view {
				t.Errorf("%+v: two users have two views", m)
			}
			releaseSame()
		}
		c.play(5 * time.Second)
		for i, r := range all {
			got := r.end()
			checkVideo(t, c.sent, got)
			if n := len(checkAudio(t, got, 22*time.Millisecond)); n < 225 {
				t.Errorf("view %d has %d frames in 5 s", i, n)
			}
		}
		if n := b.opened.Load(); n != 1 {
			t.Errorf("%d encoders for one camera", n)
		}
		if n := b.blocks.Load(); n > 240 {
			t.Errorf("%d blocks were encoded of 5 s", n)
		}
		c.step() // with the next unit a view sees that nobody reads it
		synctest.Wait()
		if b.closed.Load() != 1 || c.Units.Readers() != 0 {
			t.Errorf("%d encoders closed, %d readers, though nobody reads the views", b.closed.Load(), c.Units.Readers())
		}
		for _, release := range releases {
			release()
		}
		c.Close()
	})
}

// TestAViewThatBeginsLateHasTheAudioOfItsPictures: whether the frames are there
// from another view or still to be made.
func TestAViewThatBeginsLateHasTheAudioOfItsPictures(t *testing.T) {
	for _, running := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, b := newCam(video, alaw), &bench{}
			first, releaseFirst := open(c.Stream, Mode{Policy: Auto}, b.open, nil)
			if running {
				r := record(first)
				defer r.end()
			}
			c.play(4900 * time.Millisecond)
			second, releaseSecond := open(c.Stream, Mode{Policy: Transcode}, b.open, nil)
			late := record(second)
			synctest.Wait()
			c.step()
			got := late.end()
			frames := checkAudio(t, got, 22*time.Millisecond)
			if !got[0].Key || len(frames) < 35 || frames[0].DTS > got[0].DTS+22*time.Millisecond {
				t.Errorf("%d frames beside %d units, from %v", len(frames), len(got), frames[0].DTS-got[0].DTS)
			}
			high := time.Duration(0)
			for _, u := range got {
				if high = max(high, u.DTS); u.DTS < high-120*time.Millisecond {
					t.Errorf("%v comes after %v in the group that was there", u.DTS, high)
				}
			}
			releaseFirst()
			releaseSecond()
			c.Close()
		})
	}
}

// TestPicturesDoNotWaitForTheEncoder: it is stuck, it panics, it fails, it
// cannot be opened.
func TestPicturesDoNotWaitForTheEncoder(t *testing.T) {
	for _, tc := range []struct {
		name   string
		make   func() *bench
		reason string
	}{
		{"stuck", func() *bench { return &bench{stuck: make(chan struct{})} }, "the camera's audio does not come"},
		{"panics", func() *bench {
			b := &bench{}
			b.panics.Store(true)
			return b
		}, "internal error: the library is broken"},
		{"not to be had", func() *bench { return &bench{fails: errors.New("no memory")} }, "no memory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, b := newCam(video, alaw), tc.make()
				view, release := open(c.Stream, Mode{Policy: Auto}, b.open, nil)
				r := record(view)
				begin := time.Now()
				var behind time.Duration
				for i := range 200 {
					c.step()
					synctest.Wait()
					sent, got := len(of(media.KindVideo, c.sent)), len(of(media.KindVideo, r.soFar()))
					if got < sent {
						behind = time.Since(begin)
					}
					if got < sent && i > 10 {
						t.Fatalf("after %v %d of %d pictures are through", behind, got, sent)
					}
					time.Sleep(20 * time.Millisecond)
				}
				if behind > 2*patience {
					t.Errorf("pictures were behind for %v", behind)
				}
				if st := StateOf(view); !strings.Contains(st.Reason, tc.reason) || !strings.Contains(st.Reason, "silence") ||
					st.In != "PCMA" || st.Out != "AAC" {
					t.Errorf("state %+v", st)
				}
				if n := b.opened.Load(); n != 1 {
					t.Errorf("%d encoders", n)
				}
				if b.stuck != nil {
					close(b.stuck)
				}
				got := r.end()
				checkVideo(t, c.sent, got)
				if n := len(checkAudio(t, got, 22*time.Millisecond)); n < 130 {
					t.Errorf("%d frames of silence in 4 s", n)
				}
				release()
				c.Close()
			})
		})
	}
}

func TestNorForItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newCam(video, alaw), &bench{stuck: make(chan struct{})}
		view, release := open(c.Stream, Mode{Policy: Auto}, b.open, nil)
		r := record(view)
		c.play(time.Second)
		c.SetTracks(tracks(video, withID(aac48, 1)))
		c.play(time.Second)
		synctest.Wait()
		if got := r.soFar(); got[len(got)-1].DTS != c.sent[len(c.sent)-1].DTS {
			t.Error("the view waits for the encoder of what the camera sent before")
		}
		close(b.stuck)
		checkVideo(t, c.sent, r.end())
		release()
		c.Close()
	})
}

func TestATranscoderThatFailedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newCam(video, alaw), &bench{}
		b.panics.Store(true)
		view, release := open(c.Stream, Mode{Policy: Auto}, b.open, nil)
		r := record(view)
		c.play(10 * time.Second)
		b.panics.Store(false)
		c.play(pause)
		if st := StateOf(view); st.Reason != "" || b.opened.Load() != 2 {
			t.Errorf("after %d encoders: %q", b.opened.Load(), st.Reason)
		}
		got := r.end()
		checkVideo(t, c.sent, got)
		frames := checkAudio(t, got, 45*time.Millisecond)
		if !is(frames[len(frames)-1], "made") {
			t.Error("silence goes on")
		}
		release()
		c.Close()
	})
}
