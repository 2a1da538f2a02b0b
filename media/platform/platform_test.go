package platform

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

// good is a camera that everybody likes.
var good = Facts{
	Known: true, Video: media.CodecH264, Audio: media.CodecAAC, Height: 1080, FrameRate: 25, KeyInterval: 2 * time.Second,
	Bitrate: 4e6,
}

func TestEverybodyLikesAGoodCamera(t *testing.T) {
	for name, d := range table {
		for _, scheme := range d.schemes {
			f := good
			f.Scheme = scheme
			if got := Check(name, f); len(got) != 0 {
				t.Errorf("%s by %s: %q", name, scheme, got)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, row := range []struct {
		name     string
		platform string
		change   func(*Facts)
		want     []string
	}{
		{"a key frame every 10 s", "twitch", func(f *Facts) { f.KeyInterval = 10 * time.Second }, []string{
			"Twitch wants at most 2s between key frames and the camera sends one every 10s: " +
				"set its I-frame interval (GOP) to 2s, which is 50 pictures",
		}},
		{"an unknown frame rate", "facebook", func(f *Facts) { f.KeyInterval, f.FrameRate = 5*time.Second, 0 }, []string{
			"Facebook wants at most 2s between key frames and the camera sends one every 5s: " +
				"set its I-frame interval (GOP) to 2s",
		}},
		{"a key frame every second", "cloudflare", func(f *Facts) { f.KeyInterval = time.Second }, []string{
			"Cloudflare Stream wants 2s to 10s between key frames and the camera sends one every 1s: " +
				"set its I-frame interval (GOP) to 2s, which is 50 pictures",
		}},
		{"a GOP that trembles", "twitch", func(f *Facts) { f.KeyInterval = 2100 * time.Millisecond }, nil},
		{"a GOP that is not known yet", "twitch", func(f *Facts) { f.KeyInterval = 0 }, nil},
		{"H.265 by RTMPS", "cloudflare", func(f *Facts) { f.Video, f.Scheme = media.CodecH265, "rtmps" }, []string{
			"Cloudflare Stream does not take H.265 by rtmps: set the video encoding of the camera to H.264",
		}},
		{"H.265 by another way", "mux", func(f *Facts) { f.Video, f.Scheme = media.CodecH265, "rtmps" }, []string{
			"Mux does not take H.265 by rtmps: set the video encoding of the camera to H.264, or push by srt",
		}},
		{"H.265 the right way", "mux", func(f *Facts) { f.Video, f.Scheme = media.CodecH265, "srt" }, nil},
		{"MJPEG", "youtube", func(f *Facts) { f.Video = media.CodecMJPEG }, []string{
			"YouTube does not take MJPEG: set the video encoding of the camera to H.264",
		}},
		{"no picture", "ivs", func(f *Facts) { f.Video = media.CodecUnknown }, []string{
			"Amazon IVS wants a picture and the camera sends none: switch its video on",
		}},
		{"B-frames", "ivs", func(f *Facts) { f.Reorder = true }, []string{
			"the camera sends B-frames, which a real-time stage of Amazon IVS refuses: " +
				"switch them off, or set the profile to Baseline",
		}},
		{"B-frames where they are no harm", "youtube", func(f *Facts) { f.Reorder = true }, nil},
		{"4K at 12 Mbit/s", "twitch", func(f *Facts) { f.Height, f.Bitrate = 2160, 12e6 }, []string{
			"Twitch takes pictures of at most 1080 lines and the camera sends 2160: lower its resolution, " +
				"or push its sub stream",
			"Twitch takes at most 6 Mbit/s and the camera sends 12 Mbit/s: lower its bit rate, or push its sub stream",
		}},
		{"a sub stream", "cloudflare", func(f *Facts) { f.Bitrate = 512e3 }, []string{
			"Cloudflare Stream wants at least 2 Mbit/s and the camera sends 0.512 Mbit/s: raise its bit rate, " +
				"or push its main stream",
		}},
		{"1088 lines", "twitch", func(f *Facts) { f.Height = 1088 }, nil},
		{"no sound", "facebook", func(f *Facts) { f.Audio = media.CodecUnknown }, []string{
			"Facebook wants sound and gets none: switch the sound of the camera on (AAC), or set audio: silent",
		}},
		{"no sound where it does not matter", "twitch", func(f *Facts) { f.Audio = media.CodecUnknown }, nil},
		{"G.711", "twitch", func(f *Facts) { f.Audio = media.CodecPCMA }, []string{
			"Twitch takes AAC and gets PCMA: set the audio encoding of the camera to AAC, or set audio: transcode",
		}},
		{"a camera that has not said anything", "youtube", func(f *Facts) { *f = Facts{} }, nil},
		{"a platform like any other", "generic", func(f *Facts) { *f = Facts{Known: true} }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := good
			row.change(&f)
			got := Check(row.platform, f)
			if strings.Join(got, "\n") != strings.Join(row.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for _, row := range []struct{ platform, url, want string }{
		{"youtube", "rtmps://b.rtmps.youtube.com/live2/key", ""},
		{"youtube", "rtmp://a.rtmp.youtube.com/live/key", "the application of YouTube is live2: its URLs are " +
			"rtmp://HOST/live2 and the stream key"},
		{"twitch", "rtmp://fra02.contribute.live-video.net/app/key", ""},
		{"twitch", "rtmp://live.twitch.tv/app/key", ""},
		{"twitch", "rtmp://live.twitch.tv.example/app/key", "live.twitch.tv.example is no server of Twitch: " +
			"the names of those end in .live-video.net or .twitch.tv"},
		{"facebook", "rtmp://live-api-s.facebook.com/rtmp/key", "Facebook takes rtmps, not rtmp"},
		{"cloudflare", "srt://live.cloudflare.com:778", ""},
		{"ivs", "rtmps://a1b2c3.global-contribute.live-video.net/app/key", ""},
		{"mux", "rtsp://global-live.mux.com/x", "Mux takes rtmps or rtmp or srt, not rtsp"},
		{"generic", "foo://bar", ""},
	} {
		u, err := url.Parse(row.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(CheckURL(row.platform, u), "; "); got != row.want {
			t.Errorf("%s: %s: %q, want %q", row.platform, row.url, got, row.want)
		}
	}
	for name := range table {
		ingest := Ingest(name)
		if ingest == "" {
			continue
		}
		u, err := url.Parse(ingest + "/key")
		if err != nil || len(CheckURL(name, u)) != 0 {
			t.Errorf("%s: %s: %v, %q", name, ingest, err, CheckURL(name, u))
		}
	}
}
