package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestO4_TheSoundOfAPush publishes cameras with all kinds of sound to nginx and
// looks at what has come.
func TestO4_TheSoundOfAPush(t *testing.T) {
	cams, sink := startGstCams(t, "0"), startRTMPSink(t)
	rows := []struct{ name, camera, more, codecs, state, reason string }{
		{"copied", "h264", "", "h264 aac", "copied", ""},
		{"alaw", "pcma", "", "h264 aac", "made", ""},
		{"none", "video", "", "h264", "none", ""},
		{"needed", "video", ", platform: youtube", "h264 aac", "silence", "sends no audio"},
		{"silent", "h264", ", audio: silent", "h264 aac", "silence", ""},
		{"dropped", "h264", ", audio: drop", "h264", "none", ""},
	}
	var config strings.Builder
	config.WriteString("version: 1\naccess: {view: open}\ncameras:\n")
	for _, name := range []string{"h264", "pcma", "video"} {
		fmt.Fprintf(&config, "  %s: {url: %q}\n", name, cams.url("/"+name))
	}
	config.WriteString("pushes:\n")
	for _, r := range rows {
		fmt.Fprintf(&config, "  %s: {camera: %s, url: %q%s}\n", r.name, r.camera, sink.url(r.name), r.more)
	}
	b := startBox(t, config.String())
	for _, r := range rows {
		b.awaitPush(r.name, "active")
		eventually(t, 60*time.Second, r.name+" has arrived", func() error {
			out, errs, err := tool(t, time.Minute, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name",
				"-of", "csv=p=0", sink.recording(r.name))
			if got := strings.Join(strings.Fields(out), " "); err != nil || got != r.codecs {
				return fmt.Errorf("%q, want %q: %v %s", got, r.codecs, err, errs)
			}
			return nil
		})
		p, err := b.push(r.name)
		if err != nil || p.Audio.State != r.state || !strings.Contains(p.Audio.Reason, r.reason) {
			t.Errorf("%s: %+v, %v", r.name, p.Audio, err)
		}
		t.Logf("%s: %+v", r.name, p.Audio)
	}
	p, err := b.push("needed")
	if err != nil || len(p.Warnings) != 0 {
		t.Errorf("warnings %q, %v", p.Warnings, err)
	}
}
