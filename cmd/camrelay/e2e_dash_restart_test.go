package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDASHAcrossRestarts lets GStreamer play a live camera and wants each
// picture once. Then it ends the daemon twice, and asks for what manifests
// listed before: a file is there again only if it is the same.
func TestDASHAcrossRestarts(t *testing.T) {
	t.Parallel() // it waits most of the time
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	b.awaitActive("gate")
	out, errs, err := tool(t, 2*time.Minute, "/usr/bin/python3", "../../media/dash/testdata/play.py",
		b.http("gate/manifest.mpd"), "100")
	if err != nil {
		t.Fatalf("GStreamer: %v\n%s", err, errs)
	}
	var was, n int64
	for line := range lines(out) {
		var pts int64
		if _, err := fmt.Sscanf(line, "video %d", &pts); err != nil {
			continue
		}
		if d := time.Duration(pts - was); n > 0 && (d-40*time.Millisecond).Abs() > 30*time.Millisecond {
			t.Errorf("picture %d is shown %v after the one before", n, d)
		}
		was, n = pts, n+1
	}
	if n < 100 {
		t.Errorf("%d pictures, want 100\n%s", n, errs)
	}
	before := b.dashSegments(t)
	for name, end := range map[string]func(){"SIGKILL": b.kill9, "SIGTERM": b.stop} {
		b.restart(end)
		after := b.dashSegments(t)
		same := 0
		for url, body := range before {
			switch again, err := b.dashFile(url); {
			case err != nil || again != "" && again != body:
				t.Errorf("after %s, %s has %d bytes, %v; it had %d", name, url, len(again), err, len(body))
			case after[url] != "":
				same++
			}
		}
		if kept := name == "SIGKILL"; kept && same < len(before)/2 || !kept && same > 0 {
			t.Errorf("after %s %d of %d files are listed again", name, same, len(before))
		}
		b.awaitActive("gate")
		before = b.dashSegments(t)
	}
}

// dashSegments returns the complete files of pictures that the first Period lists in
// the manifest of gate, each of which must be there.
func (b *box) dashSegments(t *testing.T) map[string]string {
	t.Helper()
	text := ""
	eventually(t, time.Minute, "there is a manifest", func() (err error) {
		text, err = b.dashFile("manifest.mpd")
		return err
	})
	media := regexp.MustCompile(`initialization="([^"?]*)[^"]*" media="([^"?]*)[^"]*"`).FindStringSubmatch(text)
	pictures, _, _ := strings.Cut(text, "</AdaptationSet>")
	starts := regexp.MustCompile(`<S t="(\d+)"`).FindAllStringSubmatch(pictures, -1)
	if media == nil || len(starts) == 0 {
		t.Fatalf("no segments: %s", text)
	}
	all := map[string]string{media[1]: ""}
	for _, s := range starts[:len(starts)-1] { // the last one grows
		all[strings.Replace(media[2], "$Time$", s[1], 1)] = ""
	}
	for file := range all {
		body, err := b.dashFile(file)
		if err != nil || body == "" {
			t.Errorf("%s is not there: %v", file, err)
		}
		all[file] = body
	}
	return all
}

// dashFile returns a file of gate, nothing if there is none.
func (b *box) dashFile(file string) (string, error) {
	resp, err := http.Get(b.http("gate/" + file))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusNotFound:
		return "", nil
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s: %s", file, resp.Status)
	}
	return string(body), nil
}
