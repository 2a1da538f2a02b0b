package daemon

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/media"
	"camrelay/media/audio"
)

func TestSoundOfAPush(t *testing.T) {
	for _, row := range []struct {
		mode         config.Audio
		platform     config.Platform
		camera, want media.Codec
	}{
		{config.AudioAuto, config.PlatformTwitch, media.CodecUnknown, media.CodecUnknown},
		{config.AudioAuto, config.PlatformYouTube, media.CodecUnknown, media.CodecAAC},
		{config.AudioAuto, config.PlatformTwitch, media.CodecPCMU, media.CodecAAC},
		{config.AudioPass, config.PlatformYouTube, media.CodecPCMU, media.CodecPCMU},
		{config.AudioPass, config.PlatformYouTube, media.CodecUnknown, media.CodecUnknown},
		{config.AudioSilent, config.PlatformTwitch, media.CodecUnknown, media.CodecAAC},
		{config.AudioTranscode, config.PlatformTwitch, media.CodecUnknown, media.CodecUnknown},
		{config.AudioTranscode, config.PlatformTwitch, media.CodecOpus, media.CodecUnknown},
		{config.AudioDrop, config.PlatformYouTube, media.CodecAAC, media.CodecUnknown},
	} {
		if got := soundOf(row.mode, row.platform, row.camera); got != row.want {
			t.Errorf("%s of %s for %s: %s, want %s", row.mode, row.camera, row.platform, got, row.want)
		}
	}
}

func TestWhatSuitsIsNotMadeAnew(t *testing.T) {
	video := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264}
	sound := func(c media.Codec) *media.Track { return &media.Track{Kind: media.KindAudio, Codec: c} }
	for _, row := range []struct {
		name     string
		mode     config.Audio
		platform config.Platform
		tracks   []*media.Track
		want     bool
	}{
		{"AAC", config.AudioAuto, config.PlatformTwitch, []*media.Track{video, sound(media.CodecAAC)}, true},
		{"AAC that is needed", config.AudioAuto, config.PlatformYouTube, []*media.Track{video, sound(media.CodecAAC)}, false},
		{"G.711", config.AudioAuto, config.PlatformGeneric, []*media.Track{video, sound(media.CodecPCMA)}, false},
		{"no sound", config.AudioTranscode, config.PlatformGeneric, []*media.Track{video}, true},
		{"silence", config.AudioSilent, config.PlatformGeneric, []*media.Track{video, sound(media.CodecAAC)}, false},
		{"none", config.AudioDrop, config.PlatformGeneric, []*media.Track{video, sound(media.CodecAAC)}, false},
	} {
		if got := suits(row.tracks, modeOf(row.mode, row.platform, "rtmp")); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
	if mode := modeOf(config.AudioDrop, config.PlatformGeneric, "rtsp"); mode != (audio.Mode{Policy: audio.Drop}) {
		t.Errorf("an RTSP push without sound has %+v", mode)
	}
	if mode := modeOf(config.AudioAuto, config.PlatformGeneric, "rtsps"); mode != (audio.Mode{}) {
		t.Errorf("RTSP: %+v", mode)
	}
}

const advised = `version: 1
cameras:
  gate: {url: rtsp://c/}
  yard: {url: rtsp://d/}
pushes:
  a: {camera: gate, platform: youtube, key: secretkey, audio: drop}
  b: {camera: gate, platform: twitch, key: secretkey}
  c: {camera: gate, platform: twitch, key: secretkey, enabled: false}
  d: {camera: yard, platform: twitch, key: secretkey}
  e: {camera: gate, url: "srt://h:1"}
`

func TestAdviceAsksTheDaemon(t *testing.T) {
	dir := t.TempDir()
	cfg := parse(t, advised)
	if _, err := Advice(t.Context(), cfg, dir); err == nil {
		t.Error("there is advice without a daemon")
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Status{Cameras: []api.CameraStatus{{
			Name: "gate", KeyInterval: 10, FrameRate: 25, BitrateKbits: 2000,
			Tracks: []api.TrackStatus{{Kind: "video", Codec: "H264", Height: 1080}},
		}}})
	}))
	srv.Listener = ln
	srv.Start()
	defer srv.Close()
	got, err := Advice(t.Context(), cfg, dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"push a: YouTube wants at most 4s between key frames and the camera sends one every 10s: " +
			"set its I-frame interval (GOP) to 4s, which is 100 pictures",
		"push a: YouTube wants sound and gets none: switch the sound of the camera on (AAC), or set audio: silent",
		"push b: Twitch wants at most 2s between key frames and the camera sends one every 10s: " +
			"set its I-frame interval (GOP) to 2s, which is 50 pictures",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// TestAPushWarns is about the state of a push that runs.
func TestAPushWarns(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.plan("  up: {camera: gate, url: \"rtmp://live.twitch.tv/app/key\", platform: twitch, audio: pass}\n")
		r.pass(time.Second)
		got := strings.Join(r.status("up").Warnings, "; ")
		if got != "Twitch wants a picture and the camera sends none: switch its video on; "+
			"Twitch takes AAC and gets PCMA: set the audio encoding of the camera to AAC, or set audio: transcode" {
			t.Errorf("warnings %s", got)
		}
	})
}
