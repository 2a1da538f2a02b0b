package mpegts_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
	"camrelay/media/mpegts"
)

// TestFFmpegDecodesWhatWasNotPromised gives a Muxer units of tracks that it was
// not made for: what one log's users have in common is the units.
func TestFFmpegDecodesWhatWasNotPromised(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	opus := mediatest.MakeClip(t, mediatest.H264Opus)
	h265 := mediatest.MakeClip(t, mediatest.H265AAC)
	units := clip.Until(8 * time.Second)
	video := of(units, media.KindVideo)
	for name, tc := range map[string]struct {
		tracks []*media.Track
		units  []*media.Unit
	}{
		"nothing was known":                    {nil, units},
		"audio was not known":                  {clip.Tracks[:1], units},
		"audio comes after 3 s":                {clip.Tracks[:1], after(units, media.KindAudio, 3*time.Second)},
		"audio was promised and comes late":    {clip.Tracks, after(units, media.KindAudio, 7*time.Second)},
		"video comes after 3 s":                {clip.Tracks[1:], after(units, media.KindVideo, 3*time.Second)},
		"audio becomes Opus":                   {clip.Tracks, then(units, opus.Until(8*time.Second))},
		"video becomes H.265":                  {clip.Tracks, then(units, h265.Until(8*time.Second))},
		"video alone becomes H.265 with audio": {clip.Tracks[:1], then(video, h265.Until(8*time.Second))},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.ts")
			if err := os.WriteFile(path, mux(t, tc.tracks, tc.units), 0o600); err != nil {
				t.Fatal(err)
			}
			mediatest.Decodes(t, path)
			p := mediatest.Probe(t, path)
			for _, kind := range []media.Kind{media.KindVideo, media.KindAudio} {
				got, want := len(p.Of(kind.String())), len(of(tc.units, kind))
				if got != want {
					t.Errorf("%d frames of %s, want %d", got, kind, want)
				}
			}
		})
	}
}

// TestUsersOfOneLogSeeTheTracksThatThereAre joins a log that a user with other
// tracks has begun.
func TestUsersOfOneLogSeeTheTracksThatThereAre(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := clip.Until(8 * time.Second)
	s := hub.NewStream("gate")
	recipe := func(tracks []*media.Track) hub.Recipe[mpegts.Chunk] {
		return hub.Recipe[mpegts.Chunk]{
			Name: "mpegts", Limits: hub.Limits{Entries: 1 << 12, Bytes: 8 << 20, Keep: time.Minute},
			Size:  func(c mpegts.Chunk) int { return len(c.Data) },
			Start: func(c mpegts.Chunk) bool { return c.Key },
			New: func() func(*media.Unit, []mpegts.Chunk) []mpegts.Chunk {
				return mpegts.New(tracks).Chunks
			},
		}
	}
	_, release := hub.Derive(s, recipe(clip.Tracks[:1])) // before the camera had audio
	defer release()
	log, releaseLater := hub.Derive(s, recipe(clip.Tracks))
	defer releaseLater()
	r := log.Reader("later", hub.Live)
	defer r.Close()
	s.Units.Append(units...)
	s.Close()
	for !units[0].Key { // nobody starts there
		units = units[1:]
	}
	var ts bytes.Buffer
	for {
		c, _, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ts.Write(c.Data)
	}
	path := filepath.Join(t.TempDir(), "out.ts")
	if err := os.WriteFile(path, ts.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	mediatest.Decodes(t, path)
	if got, want := len(mediatest.Probe(t, path).Of("audio")), len(of(units, media.KindAudio)); got != want {
		t.Errorf("%d frames of audio, want %d", got, want)
	}
}

func of(units []*media.Unit, kind media.Kind) (out []*media.Unit) {
	for _, u := range units {
		if u.Track.Kind == kind {
			out = append(out, u)
		}
	}
	return out
}

// after leaves out the units of a kind that are older.
func after(units []*media.Unit, kind media.Kind, from time.Duration) (out []*media.Unit) {
	for _, u := range units {
		if u.Track.Kind != kind || u.DTS >= from {
			out = append(out, u)
		}
	}
	return out
}

// then returns units with others behind them, as a camera that came back with
// other settings.
func then(first, second []*media.Unit) []*media.Unit {
	out := slices.Clip(first)
	seen := make(map[int]bool)
	for _, u := range second {
		v := *u
		v.PTS += 8040 * time.Millisecond
		v.DTS += 8040 * time.Millisecond
		v.Gap = !seen[v.Track.ID]
		seen[v.Track.ID] = true
		out = append(out, &v)
	}
	return out
}
