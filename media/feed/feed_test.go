package feed_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestOneMuxHoweverManyReaders counts the readers of the log of units, each of
// which is a muxer.
func TestOneMuxHoweverManyReaders(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	s := hub.NewStream("gate")
	defer s.Close()
	var releases []func()
	first, release := feed.TS(s, clip.Tracks)
	releases = append(releases, release)
	tags, release := feed.FLV(s, clip.Tracks, 0)
	releases = append(releases, release)
	for range 20 {
		again, release := feed.TS(s, nil)
		releases = append(releases, release)
		tagsAgain, releaseTags := feed.FLV(s, clip.Tracks, flv.EnhancedHEVC|flv.LegacyHEVC)
		releases = append(releases, releaseTags)
		if again != first || tagsAgain != tags {
			t.Fatal("a user got a log of its own")
		}
	}
	if n := s.Units.Readers(); n != 2 {
		t.Errorf("%d muxers run, want one of each container", n)
	}
	a, b := first.Reader("a", hub.Live), first.Reader("b", hub.Live)
	defer a.Close()
	defer b.Close()
	s.Units.Append(clip.Units(100)...)
	ca, _, errA := a.Next(t.Context())
	cb, _, errB := b.Next(t.Context())
	if errA != nil || errB != nil || &ca.Data[0] != &cb.Data[0] {
		t.Errorf("two readers do not share a chunk: %v, %v", errA, errB)
	}
	for _, release := range releases {
		release()
		release() // once more does nothing
	}
	if n := s.Units.Readers(); n != 0 {
		t.Errorf("%d muxers run for nobody", n)
	}
}

// shifted returns units moved by d.
func shifted(units []*media.Unit, d time.Duration) []*media.Unit {
	out := make([]*media.Unit, len(units))
	for i, u := range units {
		v := *u
		v.PTS += d
		v.DTS += d
		out[i] = &v
	}
	return out
}

// count returns the units of a kind from the first start on.
func count(units []*media.Unit, kind media.Kind) (n int) {
	start := slices.IndexFunc(units, func(u *media.Unit) bool { return u.Key })
	base := units[start].DTS
	for _, u := range units[start:] {
		if u.Track.Kind == kind && u.DTS >= base {
			n++
		}
	}
	return n
}

// write reads a log of tags to its end as a client of HTTP-FLV does, and
// returns the file.
func write(t *testing.T, r *hub.Reader[feed.Tag]) string {
	t.Helper()
	var b []byte
	var known *feed.Headers
	for {
		tag, _, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if known == nil {
			b = flv.AppendFileHeader(b, true, true)
		}
		b = tag.Headers.Append(b, known, tag.Timestamp)
		known = tag.Headers
		b = append(b, tag.Data...)
	}
	path := filepath.Join(t.TempDir(), "out.flv")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFLVDecodesFromWhereverAReaderBegins(t *testing.T) {
	plain, large := mediatest.MakeClip(t, mediatest.H264AAC), mediatest.MakeClip(t, mediatest.H264Large)
	audio := mediatest.MakeClip(t, mediatest.AAC)
	const half = 4 * time.Second
	for _, tc := range []struct {
		name   string
		tracks []*media.Track
		before []*media.Unit // what the reader is too late for
		units  []*media.Unit
	}{
		{"from the beginning", plain.Tracks, nil, plain.Until(half)},
		{"late", plain.Tracks, plain.Until(half), shifted(plain.Until(half), half)},
		{"audio alone late", audio.Tracks, starts(audio.Until(half)), starts(shifted(audio.Until(half), half))},
		{"late, after a change of parameters", plain.Tracks, plain.Until(half), shifted(large.Until(half), half)},
		{
			"over a change of parameters", plain.Tracks, nil,
			slices.Concat(plain.Until(half), shifted(large.Until(half), half+40*time.Millisecond)),
		},
		{"the first user did not know of the audio", plain.Tracks[:1], nil, plain.Until(half)},
		{"the first user knew nothing", nil, nil, plain.Until(half)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := hub.NewStream("gate")
			defer s.Close()
			log, release := feed.FLV(s, tc.tracks, 0)
			defer release()
			settle := log.Reader("settle", hub.LastStart)
			defer settle.Close()
			s.Units.Append(tc.before...)
			if n := len(tc.before); n > 0 { // until only what waits for the other track is not yet muxed
				last := tc.before[n-1].DTS - tc.before[0].DTS - time.Second
				for at := time.Duration(0); at < last; {
					tag, _, err := settle.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					at = time.Duration(tag.Timestamp) * time.Millisecond
				}
			}
			r := log.Reader("viewer", hub.Live)
			defer r.Close()
			s.Units.Append(tc.units...)
			s.Close()
			path := write(t, r)
			mediatest.Decodes(t, path)
			p := mediatest.Probe(t, path)
			if len(p.Streams) > 2 {
				t.Errorf("ffprobe sees %d streams", len(p.Streams))
			}
			for _, kind := range []media.Kind{media.KindVideo, media.KindAudio} {
				// What waits for the other track is cut off at the end: up to 300 ms.
				got, want := len(p.Of(kind.String())), count(tc.units, kind)
				if got < want-25 || len(tc.before) == 0 && got > want || got > want+25 {
					t.Errorf("%d frames of %s, want some %d", got, kind, want)
				}
			}
		})
	}
}

// starts marks units of audio alone as package depay does.
func starts(units []*media.Unit) []*media.Unit {
	for _, u := range units {
		u.Key = true
	}
	return units
}

func TestBodyIsThatOfTheTag(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	s := hub.NewStream("gate")
	defer s.Close()
	log, release := feed.FLV(s, clip.Tracks, 0)
	defer release()
	r := log.Reader("viewer", hub.LastStart)
	defer r.Close()
	s.Units.Append(clip.Units(200)...)
	video, audio, _ := flv.Choose(clip.Tracks, 0)
	m := flv.New(flv.Config{Video: video, Audio: audio})
	var want []flv.Tag
	for _, u := range clip.Units(200) {
		want = m.Tags(u, want)
	}
	want = slices.DeleteFunc(want, func(g flv.Tag) bool { return g.Header })
	for i := range want {
		got, _, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Body()) != string(want[i].AppendBody(nil)) || got.Type != want[i].Type || got.Key != want[i].Key {
			t.Fatalf("entry %d is not its tag", i)
		}
	}
}

func TestAwait(t *testing.T) {
	await := map[string]func(context.Context, *hub.Stream, *hub.Reader[*media.Unit]) ([]*media.Track, error){
		"MPEG-TS": feed.AwaitTS,
		"FLV": func(ctx context.Context, s *hub.Stream, r *hub.Reader[*media.Unit]) ([]*media.Track, error) {
			return feed.AwaitFLV(ctx, s, r, flv.EnhancedOpus)
		},
	}
	opus := &media.Track{Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 2}
	h265 := &media.Track{Kind: media.KindVideo, Codec: media.CodecH265, VPS: []byte{1}, SPS: []byte{1}, PPS: []byte{1}}
	pcma := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA}
	mjpeg := &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG}
	for _, tc := range []struct {
		name, container string
		tracks          []*media.Track
		want            string // part of the reason; "" if it can be carried
	}{
		{"Opus in MPEG-TS", "MPEG-TS", []*media.Track{opus}, ""},
		{"Opus alone in FLV", "FLV", []*media.Track{opus}, ""},
		{"H.265 in FLV for who takes Opus", "FLV", []*media.Track{h265}, "H265 needs Enhanced RTMP"},
		{"G.711 beside what nobody knows", "MPEG-TS", []*media.Track{mjpeg, pcma}, "MPEG-TS cannot carry MJPEG and PCMA"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := hub.NewStream("gate")
			defer s.Close()
			s.SetTracks(tc.tracks)
			r := s.Units.Reader("awake", hub.LastStart)
			defer r.Close()
			s.Units.Append(&media.Unit{Track: tc.tracks[0], Key: true, Data: [][]byte{{1}}})
			got, err := await[tc.container](t.Context(), s, r)
			switch {
			case tc.want == "" && (err != nil || len(got) != len(tc.tracks)):
				t.Errorf("got %v, %v", got, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			case tc.want != "" && media.ClassOf(err) != media.ClassUnsupported:
				t.Errorf("the class is %v", media.ClassOf(err))
			}
		})
	}
}
