package hls

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	var was *hlscheck.List
	for _, ms := range []string{"4500", "5100", "4990", "6300"} {
		l := killed(t, dir, ms)
		if was != nil {
			open, _ := was.Edge()
			if n := len(was.Open.Parts); n > 0 {
				open++ // its number was shown
			}
			if l.Sequence < open {
				t.Errorf("%d comes after %d", l.Sequence, open-1)
			}
			last := was.DiscontinuitySequence
			if l.DiscontinuitySequence < last || !l.Segments[0].Discontinuity {
				t.Errorf("discontinuity %d after %d: %+v", l.DiscontinuitySequence, last, l.Segments[0])
			}
			if l.Target != was.Target || l.PartTarget != was.PartTarget {
				t.Errorf("%v and %v became %v and %v", was.Target, was.PartTarget, l.Target, l.PartTarget)
			}
		}
		was = l
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
