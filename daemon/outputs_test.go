package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
)

// TestWhoMayKnowIsToldWhatIsOff: somebody who is known by name is told which key to
// set, all others what they are told of any name. A file that nobody has is no
// stream that is missing.
func TestWhoMayKnowIsToldWhatIsOff(t *testing.T) {
	s := newSite(t, "rtsp://127.0.0.1:1/gate")
	hash := func(token string) string {
		sum := sha256.Sum256([]byte(token))
		return hex.EncodeToString(sum[:])
	}
	text := fmt.Sprintf("version: 1\nrtsp: {listen: \"\"}\nhttp: {listen: \"127.0.0.1:0\"}\napi: {listen: \"\"}\n"+
		"rtmp: {listen: \"\"}\nsrt: {listen: \"\"}\nmetrics: {listen: \"127.0.0.1:0\"}\n"+
		"cameras:\n  gate: {url: \"rtsp://127.0.0.1:1/gate\", keep: ondemand, hls: off, flv: off, images: off,\n"+
		"    sub: {url: \"rtsp://127.0.0.1:1/sub\"}}\nusers:\n"+
		"  - {name: bob, token_hash: %s, role: viewer}\n"+
		"  - {name: carl, token_hash: %s, role: viewer, cameras: [gate_sub]}\n", hash("bobs"), hash("carls"))
	if err := os.WriteFile(s.opts.ConfigFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	var st api.Status
	await(t, "the server listens", func() bool {
		return json.Unmarshal([]byte(s.get("/v1/status")), &st) == nil && st.Listeners["http"] != ""
	})
	ask := func(path, token string) string { return told(t, "http://"+st.Listeners["http"]+path, token) }
	const off = "404 this output is switched off: cameras."
	for path, want := range map[string]string{
		"/gate.flv": off + "gate.flv", "/gate/hls.m3u8": off + "gate.hls", "/gate/snapshot.jpg": off + "gate.images",
		"/gate_sub.flv": off + "gate.sub.flv", "/gate/foo.m3u8": "404 " + noSuchFile,
	} {
		if got := ask(path, "bobs"); got != want {
			t.Errorf("%s: bob is told %q, want %q", path, got, want)
		}
	}
	for _, token := range []string{"", "wrong", "carls"} {
		if off, unknown := ask("/gate.flv", token), ask("/nope.flv", token); off != unknown || strings.Contains(off, "off") {
			t.Errorf("%q tells the two apart: %q, %q", token, off, unknown)
		}
		if off, unknown := ask("/gate/x.ts", token), ask("/nope/x.ts", token); off != unknown {
			t.Errorf("%q tells the two apart: %q, %q", token, off, unknown)
		}
	}
	for _, out := range shownOf(t, s, "gate").Outputs {
		want := map[string]string{
			"hls": "cameras.gate.hls", "flv": "cameras.gate.flv", "images": "cameras.gate.images",
			"rtsp": "rtsp does not listen", "rtmp": "rtmp does not listen", "srt": "srt does not listen",
		}[out.Protocol]
		if out.On != (want == "") || !strings.HasSuffix(out.Note, want) || out.On && out.Note != "" {
			t.Errorf("%+v, want %q", out, want)
		}
	}
}

// told returns what somebody with a token is answered.
func told(t *testing.T, url, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body)))
}

// shownOf returns what the API tells of a camera.
func shownOf(t *testing.T, s *site, name string) (cam api.CameraStatus) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.get("/v1/cameras/"+name)), &cam); err != nil {
		t.Fatal(err)
	}
	if len(cam.Outputs) != 8 {
		t.Fatalf("outputs are %+v", cam.Outputs)
	}
	return cam
}

func TestWhatAnOutputLeavesOut(t *testing.T) {
	h264 := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264}
	h265 := &media.Track{Kind: media.KindVideo, Codec: media.CodecH265}
	opus := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, ClockRate: 48000, Channels: 2}
	g711 := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA, ClockRate: 8000, Channels: 1}
	g726 := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecUnknown, RTPMap: "G726-32/8000"}
	aloneIn := func(container, takes, why string) string {
		return "audio left out: " + container + " takes " + takes + " alone, and " + why + " cannot be decoded"
	}
	for _, tc := range []struct {
		name, protocol string
		policy         config.Audio
		tracks         []*media.Track
		want           string
	}{
		{"Opus in FLV", "flv", config.AudioAuto, []*media.Track{h264, opus}, aloneIn("FLV", "AAC", "Opus")},
		{"Opus by RTMP", "rtmp", config.AudioAuto, []*media.Track{h264, opus}, aloneIn("FLV", "AAC", "Opus")},
		{"Opus in MPEG-TS", "mpegts", config.AudioAuto, []*media.Track{h264, opus}, ""},
		{"Opus by RTSP", "rtsp", config.AudioAuto, []*media.Track{h264, opus}, ""},
		{"Opus that nobody wants", "flv", config.AudioDrop, []*media.Track{h264, opus}, ""},
		{"G.711", "flv", config.AudioAuto, []*media.Track{h264, g711}, ""},
		{"G.726 by SRT", "srt", config.AudioAuto, []*media.Track{h264, g726}, aloneIn("MPEG-TS", "AAC and Opus", "G726-32")},
		{"no sound", "flv", config.AudioAuto, []*media.Track{h264}, ""},
		{"H.265 in FLV", "flv", config.AudioAuto, []*media.Track{h265}, flv.EnhancedNote},
		{"H.265 in MPEG-TS", "mpegts", config.AudioAuto, []*media.Track{h265}, ""},
		{"nothing known yet", "flv", config.AudioAuto, nil, ""},
	} {
		if got := strings.Join(missing(tc.tracks, tc.protocol, tc.policy), "; "); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestWhyAViewerIsRefused(t *testing.T) {
	for want, err := range map[string]error{
		"not_found": hub.Refuse(hub.ErrNotFound, "x"), "credentials": hub.ErrDenied, "forbidden": hub.ErrForbidden,
		"unavailable": fmt.Errorf("x: %w", hub.ErrUnavailable), "other": errors.New("x"),
	} {
		if got := refusalOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	if got := refusalOf(media.Fail(media.ClassCredentials, errors.New("x"))); got != "credentials" {
		t.Error(got)
	}
}
