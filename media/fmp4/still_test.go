package fmp4_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"camrelay/media"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

func TestStillsShow(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.H265AAC, mediatest.H265B} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			i := 0
			for !clip.Unit(i).Key {
				i++
			}
			u := clip.Unit(i)
			before := bytes.Join(u.Data, nil)
			b, err := fmp4.Still(u)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.Join(u.Data, nil), before) {
				t.Error("the unit was written to")
			}
			name := filepath.Join(t.TempDir(), "still.mp4")
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			mediatest.Decodes(t, name)
			p := mediatest.Probe(t, name)
			if len(p.Packets) != 1 || len(p.Streams) != 1 || !p.Packets[0].Key() {
				t.Fatalf("ffprobe sees %d packets", len(p.Packets))
			}
			if s := p.Streams[0]; s.Width != u.Track.Width || s.Height != u.Track.Height ||
				u.Track.Codec == media.CodecH265 && s.CodecTag != "hvc1" {
				t.Errorf("ffprobe sees %+v", s)
			}
			raw := name + ".yuv"
			decoder := map[media.Codec]string{media.CodecH264: "avdec_h264", media.CodecH265: "avdec_h265"}[u.Track.Codec]
			out, err := exec.CommandContext(t.Context(), "gst-launch-1.0", "-q", "filesrc", "location="+name, "!",
				"qtdemux", "!", decoder, "!", "videoconvert", "!", "video/x-raw,format=I420", "!",
				"filesink", "location="+raw).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Fatalf("gst-launch-1.0: %v\n%s", err, out)
			}
			if info, err := os.Stat(raw); err != nil || info.Size() != int64(u.Track.Width*u.Track.Height*3/2) {
				t.Errorf("GStreamer shows not one picture: %v, %v", info, err)
			}
		})
	}
}

func TestNoStill(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	audio := &media.Unit{Track: clip.Tracks[1], Data: [][]byte{{1, 2}}}
	for name, u := range map[string]*media.Unit{
		"sound":               audio,
		"nothing":             {Track: clip.Tracks[0]},
		"parameter sets only": {Track: clip.Tracks[0], Data: [][]byte{clip.Tracks[0].SPS}},
		"no parameter sets":   {Track: &media.Track{Kind: media.KindVideo, Codec: media.CodecH264}, Data: [][]byte{{5}}},
		"motion JPEG":         {Track: &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG}, Data: [][]byte{{1}}},
	} {
		if b, err := fmp4.Still(u); err == nil {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}
