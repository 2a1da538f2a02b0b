package audio

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

func TestAudioThatComesAndGoes(t *testing.T) {
	for _, late := range []time.Duration{0, 300 * time.Millisecond, 2500 * time.Millisecond} {
		for name, sound := range map[string]*media.Track{"G.711": alaw, "AAC": withID(aac48, 1)} {
			t.Run(name+" behind by "+late.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, b := newCam(video, sound), &bench{}
					c.late = late
					view, release := open(c.Stream, Mode{Policy: Auto, Needed: true}, b.open, nil)
					r := record(view)
					c.mute = true
					c.play(5 * time.Second)
					if st := StateOf(view); !strings.Contains(st.Reason, "does not come") {
						t.Errorf("without sound: %+v", st)
					}
					c.mute = false
					c.play(20 * time.Second)
					if st := StateOf(view); st.Reason != "" || st.Out != "AAC" {
						t.Errorf("with sound: %+v", st)
					}
					c.mute = true
					c.play(8 * time.Second)
					if st := StateOf(view); !strings.Contains(st.Reason, "does not come") {
						t.Errorf("after it has stopped: %+v", st)
					}
					got := r.end()
					checkVideo(t, c.sent, got)
					frames := checkAudio(t, got, 45*time.Millisecond)
					real := 0
					for _, u := range frames {
						if !is(u, silentMono) {
							real++
						}
					}
					if least := int((17*time.Second - 2*late) / (22 * time.Millisecond)); real < least {
						t.Errorf("%d frames of the camera's in 20 s", real)
					}
					last, end := frames[len(frames)-1], c.sent[len(c.sent)-1].DTS
					if !is(last, silentMono) || last.DTS < end-60*time.Millisecond {
						t.Errorf("at the end there is audio up to %v, pictures to %v", last.DTS, end)
					}
					release()
					c.Close()
				})
			})
		}
	}
}

func TestCamerasThatChangeTheirMind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newCam(video), &bench{}
		view, release := open(c.Stream, Mode{Policy: Auto, Needed: true}, b.open, nil)
		r := record(view)
		for i, stage := range []struct {
			tracks  []*media.Track
			in, out string
			reason  string
			data    string
		}{
			{tracks(video), "", "AAC", "the camera sends no audio, so there is silence", silentMono},
			{tracks(video, alaw), "PCMA", "AAC", "", "made"},
			{tracks(video, withID(aac48, 1)), "AAC", "AAC", "", ""},
			{tracks(video, opus), "Opus", "AAC", "Opus cannot be decoded, so there is silence", silentMono},
			{tracks(video, onvif, withID(alaw, 3)), "PCMA", "AAC", "", "made"},
			{tracks(video, onvif, withID(aac48, 3)), "AAC", "AAC", "", ""},
			{tracks(video), "", "AAC", "the camera sends no audio, so there is silence", silentMono},
		} {
			c.SetTracks(stage.tracks)
			synctest.Wait()
			ts, _ := view.Tracks()
			if st := StateOf(view); st.In != stage.in || st.Out != stage.out || st.Reason != stage.reason {
				t.Errorf("stage %d: %+v", i, st)
			}
			if sound := ts[1]; sound.ID != 1 || sound.Codec != media.CodecAAC || !hub.Ready(ts) {
				t.Errorf("stage %d: the audio is track %+v", i, sound)
			}
			c.play(4 * time.Second)
			synctest.Wait()
			if last := of(media.KindAudio, r.soFar()); stage.data != "" && !is(last[len(last)-1], stage.data) ||
				last[len(last)-1].Track.ID != 1 {
				t.Errorf("stage %d: audio %q of track %d", i, last[len(last)-1].Data[0], last[len(last)-1].Track.ID)
			}
			c.interrupt()
		}
		got := r.end()
		checkVideo(t, c.sent, got)
		checkAudio(t, got, 1100*time.Millisecond)
		release()
		c.Close()
	})
}

func TestDropAndPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newCam(withID(alaw, 0), withID(video, 1), onvif), &bench{}
		same, releaseSame := open(c.Stream, Mode{Policy: Pass}, b.open, nil)
		if same != c.Stream || StateOf(same).In != "PCMA" || StateOf(same).Out != "PCMA" {
			t.Error("pass is not the stream itself")
		}
		releaseSame()
		view, release := open(c.Stream, Mode{Policy: Drop}, b.open, nil)
		if ts, _ := view.Tracks(); len(ts) != 2 || ts[0].Kind != media.KindVideo {
			t.Errorf("tracks %v", ts)
		}
		r := record(view)
		c.play(2 * time.Second)
		got := r.end()
		checkVideo(t, c.sent, got)
		if n := len(of(media.KindAudio, got)); n > 0 {
			t.Errorf("%d units of audio", n)
		}
		release()
		c.Close()
	})
}

func TestAudioAlone(t *testing.T) {
	for _, ts := range [][]*media.Track{{withID(alaw, 0)}, {mjpeg, alaw}} {
		for _, m := range []Mode{{Policy: Auto}, {Policy: Silent}} {
			synctest.Test(t, func(t *testing.T) {
				c, b := newCam(ts...), &bench{}
				view, release := open(c.Stream, m, b.open, nil)
				r := record(view)
				c.play(2 * time.Second)
				got := checkAudio(t, r.end(), 22*time.Millisecond)
				if len(got) < 85 || !got[0].Key || is(got[0], silentMono) != (m.Policy == Silent) {
					t.Errorf("%s: %d frames", m.Policy, len(got))
				}
				release()
				c.Close()
			})
		}
	}
}

// TestEnds: by the last user, by the stream, with logs that are derived.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newCam(video, alaw), &bench{}
		view, release := open(c.Stream, Mode{Policy: Auto}, b.open, nil)
		sizes, releaseSizes := hub.Derive(view, hub.Recipe[int]{
			Name: "sizes", Limits: hub.Limits{Entries: 1000, Bytes: 1000, Keep: time.Second},
			Size: func(int) int { return 1 }, Start: func(int) bool { return true },
			New: func() func(*media.Unit, []int) []int {
				return func(u *media.Unit, out []int) []int { return append(out, u.Size()) }
			},
		})
		reader := sizes.Reader("r", hub.LastStart)
		c.play(time.Second)
		synctest.Wait()
		if n, _ := reader.TryRead(make([]int, 1000)); n < 60 {
			t.Errorf("%d entries were derived of a view", n)
		}
		r := record(view)
		c.step()
		c.Close()
		r.end()
		if r.err != io.EOF || sizes.Err() != io.EOF || b.closed.Load() != 1 {
			t.Errorf("at the end of the stream: %v, %v, %d encoders closed", r.err, sizes.Err(), b.closed.Load())
		}
		sent := of(media.KindVideo, c.sent)
		if got := of(media.KindVideo, r.got); !slices.Equal(sent[len(sent)-len(got):], got) {
			t.Error("the last pictures are missing")
		}
		reader.Close()
		releaseSizes()
		release()

		again := newCam(video, alaw)
		view, release = open(again.Stream, Mode{Policy: Auto}, b.open, nil)
		r = record(view)
		again.play(time.Second)
		release()
		if r.end(); r.err != io.EOF || again.Closed() || b.closed.Load() != 2 {
			t.Errorf("after the last user: %v, %d encoders closed", r.err, b.closed.Load())
		}
		again.Close()
	})
}
