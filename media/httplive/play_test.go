package httplive

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// played is what independent players are shown: the form and the clip.
type played struct {
	path string
	kind mediatest.Kind
}

// forms lists what is played. FFmpeg and GStreamer as they are installed do not
// know H.265 in FLV; TestEnhancedFLV reads that.
func forms() (all []played) {
	for _, kind := range append(mediatest.Kinds(), mediatest.AAC, mediatest.H264BOnly) {
		all = append(all, played{"/gate/mpegts", kind})
		if !strings.HasPrefix(string(kind), "H265") {
			all = append(all, played{"/gate.flv", kind})
		}
	}
	return all
}

// reading runs players at once, and plays the clip to its end once all of them
// are there. It returns the units.
func (s *site) reading(clip *mediatest.Clip, d time.Duration, players ...func()) []*media.Unit {
	s.t.Helper()
	done := make(chan struct{}, len(players))
	for _, play := range players {
		go func() { defer func() { done <- struct{}{} }(); play() }()
	}
	s.until("all viewers wait for a picture", func() bool { return s.handler.Stats().Viewers == len(players) })
	s.until("all viewers are subscribed", func() bool { return s.stream.Units.Readers() >= len(players) })
	units := starts(clip, d)
	first := slices.IndexFunc(units, func(u *media.Unit) bool { return u.Key })
	some := first + 1 // up to the second key frame, so that all begin with the first
	for !units[some].Key {
		some++
	}
	s.stream.Units.Append(units[:some]...)
	s.until("all viewers have begun", func() bool { return s.begun() == len(players) })
	if n := s.stream.Units.Readers(); n != 1 {
		s.t.Errorf("%d readers of units, want one muxer for all", n)
	}
	s.stream.Units.Append(units[some:]...)
	s.stream.Close()
	for range players {
		<-done
	}
	return units
}

func TestFFmpegPlays(t *testing.T) {
	for _, p := range forms() {
		t.Run(p.path+" "+string(p.kind), func(t *testing.T) {
			t.Parallel()
			s, clip := clipSite(t, Config{}, p.kind)
			var probed *mediatest.Probed
			units := s.reading(clip, 6*time.Second,
				func() { mediatest.Decodes(t, s.url+p.path) },
				func() { probed = mediatest.Probe(t, s.url+p.path) })
			for _, track := range clip.Tracks {
				checkFrames(t, p, track, len(probed.Of(track.Kind.String())), count(units, track.Kind))
			}
		})
	}
}

// checkFrames compares the frames that a player got with those that there were.
func checkFrames(t *testing.T, p played, track *media.Track, got, want int) {
	t.Helper()
	if track.Codec == media.CodecOpus && p.path != "/gate/mpegts" {
		want = 0
	}
	few := 0 // what still waits for the other track when a stream ends
	if p.path != "/gate/mpegts" {
		few = 15
	}
	if got > want || got < want-few {
		t.Errorf("%d frames of %s, want %d", got, track.Codec, want)
	}
}

func TestGStreamerPlays(t *testing.T) {
	for _, p := range forms() {
		t.Run(p.path+" "+string(p.kind), func(t *testing.T) {
			t.Parallel()
			s, clip := clipSite(t, Config{}, p.kind)
			var got map[media.Kind]int
			units := s.reading(clip, 6*time.Second, func() { got = gstFrames(t, s.url+p.path, clip.Tracks) })
			for _, track := range clip.Tracks {
				want := count(units, track.Kind)
				few := 0
				if n := got[track.Kind]; track.Kind == media.KindAudio && n > 0 && n < want {
					few = 2 // that its parsers and decoders keep for themselves
				}
				checkFrames(t, p, track, min(want, got[track.Kind]+few), want)
			}
		})
	}
}

// gstFrames plays url with GStreamer's demuxers and decoders and returns how
// many decoded frames of each kind come out.
func gstFrames(t *testing.T, url string, tracks []*media.Track) map[media.Kind]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	demux, flv := "tsdemux", strings.HasSuffix(url, ".flv")
	if flv {
		demux = "flvdemux"
	}
	dir := t.TempDir()
	var pipeline strings.Builder
	pipeline.WriteString("souphttpsrc location=" + url + " ! " + demux + " name=d")
	sizes := make(map[media.Kind]int64)
	for _, track := range tracks {
		chain, size := decoder(track)
		if track.Codec == media.CodecOpus && flv {
			continue
		}
		sizes[track.Kind] = size
		fmt.Fprintf(&pipeline, " d. ! queue ! %s ! filesink location=%s/%s", chain, dir, track.Kind)
	}
	cmd := exec.CommandContext(ctx, "gst-launch-1.0", append([]string{"-q"}, strings.Fields(pipeline.String())...)...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gst-launch-1.0: %v\n%s", err, out)
	}
	frames := make(map[media.Kind]int)
	for kind, size := range sizes {
		info, err := os.Stat(filepath.Join(dir, kind.String()))
		if err != nil {
			t.Error(err)
			continue
		}
		frames[kind] = int(info.Size() / size)
	}
	return frames
}

// decoder returns the elements that decode a track, and the bytes of a frame
// that come out.
func decoder(track *media.Track) (chain string, size int64) {
	picture := int64(track.Width * track.Height * 3 / 2)
	const toPicture, toSound = " ! videoconvert ! video/x-raw,format=I420", " ! audioconvert ! audio/x-raw,format=S16LE"
	switch track.Codec {
	case media.CodecH264:
		return "h264parse ! avdec_h264" + toPicture, picture
	case media.CodecH265:
		return "h265parse ! avdec_h265" + toPicture, picture
	case media.CodecAAC:
		return "aacparse ! avdec_aac" + toSound, int64(1024 * track.Channels * 2)
	}
	return "opusdec" + toSound, int64(960 * track.Channels * 2)
}
