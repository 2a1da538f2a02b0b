package flv_test

import (
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

// counts returns how many tags of media there are of each type.
func counts(tags []flv.Tag) (video, audio int) {
	for _, g := range tags {
		switch {
		case g.Header:
		case g.Type == flv.Video:
			video++
		case g.Type == flv.Audio:
			audio++
		}
	}
	return video, audio
}

func TestTracksThatBecomeKnownLater(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := clip.Until(2 * time.Second)
	for _, tc := range []struct {
		name         string
		cfg          flv.Config
		video, audio bool
	}{
		{"nothing is wanted", flv.Config{}, false, false},
		{"only the picture is wanted", flv.Config{Video: clip.Tracks[0]}, true, false},
		{"sound is taken up", flv.Config{Video: clip.Tracks[0], Open: true}, true, true},
		{"the picture is taken up", flv.Config{Audio: clip.Tracks[1], Open: true}, true, true},
		{"both are", flv.Config{Open: true}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tags := mux(flv.New(tc.cfg), units)
			video, audio := counts(tags)
			if (video >= 49) != tc.video || (audio >= 90) != tc.audio {
				t.Errorf("%d pictures, %d frames of sound", video, audio)
			}
			described := make(map[flv.Type]bool)
			for _, g := range tags {
				if g.Header {
					described[g.Type] = true
				} else if !described[g.Type] || !described[flv.Script] {
					t.Fatalf("a tag of type %d before its header", g.Type)
				}
				if !g.Header && g.Wall.IsZero() != units[0].Wall.IsZero() {
					t.Fatal("a tag does not tell when its unit arrived")
				}
			}
		})
	}
}

func TestATrackThatBecomesWhatNobodyCarries(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	video, audio, _ := flv.Choose(clip.Tracks, 0)
	m := flv.New(flv.Config{Video: video, Audio: audio})
	opus := *audio
	opus.Codec = media.CodecOpus
	_, before := counts(mux(m, clip.Until(time.Second)))
	var tags []flv.Tag
	for _, u := range clip.Until(3 * time.Second) {
		if u.DTS < 2*time.Second {
			continue
		}
		if u.Track.Kind == media.KindAudio {
			u.Track = &opus
		}
		tags = m.Tags(u, tags)
	}
	if video, audio := counts(m.Flush(tags)); before == 0 || video < 20 || audio > 0 {
		t.Errorf("%d frames of sound, then %d and %d pictures", before, audio, video)
	}
}

// TestTimesThatFallHoldNothingUp breaks the promise that the DTS of a track
// never falls.
func TestTimesThatFallHoldNothingUp(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	video, audio, _ := flv.Choose(clip.Tracks, 0)
	m := flv.New(flv.Config{Video: video, Audio: audio})
	in, out := 0, 0
	for range 10 {
		for _, u := range clip.Until(2 * time.Second) {
			in++
			v, a := counts(m.Tags(u, nil))
			out += v + a
		}
	}
	if in-out > 300 {
		t.Errorf("%d of %d units are held", in-out, in)
	}
}
