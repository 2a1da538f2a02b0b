package hls

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
	"camrelay/media/mediatest/hlscheck"
)

// Of the process that TestNoNumberIsUsedTwice kills.
const (
	childDir   = "CAMRELAY_TEST_HLS_DIR"
	childMedia = "CAMRELAY_TEST_HLS_MEDIA" // milliseconds of media
	childEnd   = "#end"
)

// TestChild is that process: it packages into a directory that it is given,
// prints its low-latency playlist and waits to be killed.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	ms, err := strconv.Atoi(os.Getenv(childMedia))
	if err != nil {
		t.Fatal(err)
	}
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	cfg := settings()
	cfg.Window = time.Minute
	r := newRigIn(t, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	for i, u := range clip.Until(time.Duration(ms) * time.Millisecond) {
		r.feed(u)
		if i == 200 {
			r.body("/gate/live.m3u8") // so that lengths are promised early
		}
	}
	fmt.Fprintf(os.Stdout, "%s%s\n", r.body("/gate/live.m3u8"), childEnd)
	io.Copy(io.Discard, os.Stdin) // until the parent is gone, if it does not kill us
}

// TestNoNumberIsUsedTwice kills a packager again and again, in the midst of
// segments, without any warning.
func TestNoNumberIsUsedTwice(t *testing.T) {
	dir := t.TempDir()
	uris := make(map[uint64]string) // of each number that was shown
	discontinuities := make(map[uint64]uint64)
	var was *hlscheck.List
	for _, ms := range []string{"4500", "5100", "4990", "6300"} {
		l := killed(t, dir, ms)
		number := l.DiscontinuitySequence
		for i, s := range append(l.Segments, l.Open) {
			n := l.Sequence + uint64(i)
			uri := s.URI
			if len(s.Parts) > 0 { // those of older ones are not listed
				uri, _, _ = strings.Cut(s.Parts[0].URI, ".")
				uri += mediaSuffix
			}
			if s.Discontinuity {
				number++
			}
			if was, ok := uris[n]; ok && (was != uri || discontinuities[n] != number) {
				t.Errorf("segment %d after %d discontinuities: %s, was %s after %d", n, number, uri, was, discontinuities[n])
			}
			if uri != "" {
				uris[n], discontinuities[n] = uri, number
			}
		}
		if was != nil && (l.Target != was.Target || l.PartTarget != was.PartTarget) {
			t.Errorf("%v and %v became %v and %v", was.Target, was.PartTarget, l.Target, l.PartTarget)
		}
		was = l
	}
	if n := len(slices.Compact(slices.Sorted(maps.Values(discontinuities)))); n != 4 {
		t.Errorf("%d processes show in %v", n, discontinuities)
	}
}

// killed runs the child on so many milliseconds of media, kills it and returns
// the playlist that it showed last.
func killed(t *testing.T, dir, ms string) *hlscheck.List {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childMedia+"="+ms)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() // nothing is written
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != childEnd; {
		text.WriteString(lines.Text() + "\n")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed
	return parseLive(t, []byte(text.String()))
}
