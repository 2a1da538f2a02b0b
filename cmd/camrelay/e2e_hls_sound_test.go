package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// loudest is what ffmpeg's volumedetect says of the loudest sample.
var loudest = regexp.MustCompile(`max_volume: (-?[0-9.]+) dB`)

// TestPackagedSoundIsHeard plays what is packaged of a camera with G.711: there
// is AAC, and it ticks. A camera without sound has none there, and nobody
// touches the sound of one with AAC.
func TestPackagedSoundIsHeard(t *testing.T) {
	t.Parallel() // it waits most of the time
	cams := startGstCams(t, "0")
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  pcma: {url: %q}\n"+
		"  dropped: {url: %q, audio: drop}\n  video: {url: %q}\n",
		cams.url("/pcma"), cams.url("/pcma"), cams.url("/video")))
	for _, row := range []struct {
		path, codecs string
	}{
		{"pcma/index.m3u8", "h264 aac"},
		{"pcma/manifest.mpd", "h264 aac"},
		{"pcma/ts.m3u8", "h264 aac"},
		{"dropped/index.m3u8", "h264"},
		{"video/hls.m3u8", "h264"},
	} {
		camera, _, _ := strings.Cut(row.path, "/")
		b.awaitActive(camera)
		eventually(t, 2*time.Minute, row.path+" has "+row.codecs, func() error {
			out, errs, err := tool(t, time.Minute, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name",
				"-of", "csv=p=0", b.http(row.path))
			seen := make(map[string]bool)
			for name := range strings.FieldsSeq(out) { // a multivariant playlist shows its streams twice
				seen[strings.Trim(name, ",")] = true
			}
			if err != nil || len(seen) != len(strings.Fields(row.codecs)) || !seen["h264"] ||
				seen["aac"] != strings.HasSuffix(row.codecs, "aac") {
				return fmt.Errorf("%q: %v %s", out, err, errs)
			}
			return nil
		})
		if strings.HasSuffix(row.codecs, "aac") {
			b.checkHeard(t, row.path)
		}
	}
}

// checkHeard decodes some seconds of a camera that ticks once in each.
func (b *box) checkHeard(t *testing.T, path string) {
	t.Helper()
	_, errs, err := tool(t, 2*time.Minute, "ffmpeg", "-nostdin", "-i", b.http(path), "-t", "4",
		"-map", "0:v", "-map", "0:a", "-af", "volumedetect", "-f", "null", "-")
	found := loudest.FindStringSubmatch(errs)
	if err != nil || found == nil {
		t.Fatalf("%s: %v\n%s", path, err, errs)
	}
	volume, err := strconv.ParseFloat(found[1], 64)
	if err != nil || volume < -30 {
		t.Errorf("%s: the loudest sample has %s dB: %v", path, found[1], err)
	}
	t.Logf("%s: the loudest sample has %s dB", path, found[1])
}
