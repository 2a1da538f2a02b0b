package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media/mediatest"
	"camrelay/media/mediatest/hlscheck"
)

// howLong returns the length of a test that has a long form: that of the
// environment, or short.
func howLong(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	long := os.Getenv(soakEnv)
	if long == "" {
		return short
	}
	d, err := time.ParseDuration(long)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestLowLatencyKeepsTheRules holds the playlists of a live camera against
// RFC 8216bis while players wait for each of its parts, fifty of them
// in the long form.
func TestLowLatencyKeepsTheRules(t *testing.T) {
	players := 8 // a busy machine starves more of them
	if soaking() {
		players = 50
	}
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	b.awaitActive("gate")
	index := b.http("gate/index.m3u8")
	eventually(t, 30*time.Second, "the low-latency playlist is there", func() error {
		_, err := livePlaylist(index)
		return err
	})
	ctx, cancel := context.WithTimeout(t.Context(), howLong(t, 20*time.Second))
	defer cancel()
	results := make([]*hlscheck.Result, players)
	var wg sync.WaitGroup
	for i := range results {
		url, err := livePlaylist(index) // each has a session of its own
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { results[i] = hlscheck.Follow(ctx, &http.Client{}, url) })
	}
	wg.Wait()
	var waits []time.Duration
	for _, r := range results {
		for _, v := range r.Violations {
			t.Error(v)
		}
		waits = append(waits, r.Waits...)
	}
	first := results[0]
	t.Logf("each of %d players: some %d playlists, %d of them deltas, %d parts, %d of them hinted, %d segments",
		players, first.Playlists, first.Deltas, first.Parts, first.Hints, first.Segments)
	if first.Playlists < 10 || first.Deltas == 0 || first.Parts < 10 || first.Hints == 0 || len(waits) == 0 {
		t.Fatal("the players have seen too little")
	}
	slices.Sort(waits)
	t.Logf("blocking reloads took %v median, %v p99, %v at most; parts last %v",
		waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1], first.Newest.PartTarget)
}

// livePlaylist returns the address of the first playlist that a multivariant one lists.
func livePlaylist(index string) (string, error) {
	res, err := http.Get(index)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %w", res.Status, err)
	}
	for line := range strings.Lines(text.String()) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			u, err := res.Request.URL.Parse(line)
			return u.String(), err
		}
	}
	return "", fmt.Errorf("no playlist in %s", &text)
}

// watched is what live.mjs prints.
type watched struct {
	Behind          []float64 // ms behind the time of day, at each tenth of a second
	Stalls          int
	Errors          []string
	Levels          [][2]uint64 // first and last sequence number of each playlist
	Frames, Dropped int
	Time, Target    float64      // s
	Seeks           [][2]float64 // after how many seconds, and where to
	Worst           struct {     // when it was the furthest behind
		Behind      float64 // ms
		At          float64 // s, since the page was made
		Pause, Step float64 // ms, since the browser looked last, and by which its clock was set
		Rate        float64 // of playback
		Ahead       float64 // s that are buffered
		Edge        float64 // ms from the end of the playlist to the time of day
	}
}

// watch plays a playlist of the camera gate in Chromium for d, and runs meanwhile
// once it does.
func (b *box) watch(t *testing.T, file string, d time.Duration, meanwhile func()) (w watched) {
	t.Helper()
	_, script := browser(t, "live.mjs")
	out, _ := inChromium(t, d+2*time.Minute, meanwhile, script, b.http(""), b.http("gate/"+file), fmt.Sprint(d.Seconds()))
	if err := json.Unmarshal(out, &w); err != nil {
		t.Fatal(err)
	}
	for _, e := range w.Errors {
		if strings.Contains(e, "fatal") {
			t.Errorf("hls.js gave up: %s", e)
		}
	}
	return w
}

// inChromium runs a script that plays something in Chromium, and meanwhile once it
// does. It returns what the script prints, and what it says beside that.
func inChromium(t *testing.T, limit time.Duration, meanwhile func(), args ...string) (out []byte, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	var b bytes.Buffer
	errs := &mediatest.Log{}
	cmd.Stdout, cmd.Stderr = &b, errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, 90*time.Second, "Chromium plays", func() error {
		if !strings.Contains(errs.String(), "playing") {
			return fmt.Errorf("it says %q", errs.String())
		}
		return nil
	})
	meanwhile()
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return b.Bytes(), errs.String()
}

// checkSequence fails if the media sequence went back, and returns the newest.
func (w *watched) checkSequence(t *testing.T) (newest uint64) {
	t.Helper()
	for _, l := range w.Levels {
		if l[1] < newest {
			t.Errorf("the media sequence fell from %d to %d", newest, l[1])
		}
		newest = max(newest, l[1])
	}
	return newest
}

// TestLowLatencyInChromium plays a camera in hls.js and measures how far its
// picture is behind the camera.
func TestLowLatencyInChromium(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	b.awaitActive("gate")
	d := howLong(t, 15*time.Second)
	w := b.watch(t, "index.m3u8", d, func() {})
	slices.Sort(w.Behind)
	median := w.Behind[len(w.Behind)/2]
	t.Logf("%d pictures in %.1f s, %d dropped; %.0f ms behind in the median, %.0f to %.0f, aim %.1f s; %d stalls, %v",
		w.Frames, w.Time, w.Dropped, median, w.Behind[0], w.Behind[len(w.Behind)-1], w.Target, w.Stalls, w.Errors)
	t.Logf("at the worst: %+v; seeks (when, to): %.1f", w.Worst, w.Seeks)
	if float64(w.Frames) < 0.9*d.Seconds()*25 {
		t.Errorf("%d pictures in %v", w.Frames, d)
	}
	if soaking() && (median > 1500 || w.Stalls > 0) { // on a busy machine the browser itself stalls
		t.Errorf("%.0f ms behind, %d stalls, want at most 1500 and none", median, w.Stalls)
	}
}

// TestChromiumOutlivesARestart restarts the daemon, once in good order and once
// by kill -9, while hls.js plays: it goes on without being loaded again.
func TestChromiumOutlivesARestart(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264"))+fmt.Sprintf("http: {listen: \"127.0.0.1:%s\"}\n", freePort(t, "tcp")),
		"--keep-segments")
	b.awaitActive("gate")
	w := b.watch(t, "index.m3u8", 40*time.Second, func() {
		b.stop()
		b.launch()
		b.awaitActive("gate")
		b.kill9()
		b.launch()
	})
	newest := w.checkSequence(t)
	t.Logf("%d pictures in %.1f s, sequence numbers up to %d; errors on the way: %v", w.Frames, w.Time, newest, w.Errors)
	if w.Frames < 25*20 {
		t.Errorf("%d pictures", w.Frames)
	}
}
