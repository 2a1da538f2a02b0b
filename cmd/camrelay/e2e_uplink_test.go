package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// uplinks is how many pushes share the line.
const uplinks = 16

// TestO4_TheUplinkReturns cuts the line of 16 pushes, for five minutes where
// the long form is asked for: all are active within 30 s of its return, no more
// than four connect in a second, the most important first but for the one that
// has found it, and no viewer notices.
func TestO4_TheUplinkReturns(t *testing.T) {
	t.Parallel() // it waits most of the time
	outage := howLong(t, 40*time.Second)
	line := mediatest.NewLine(t)
	cam, sink := startFakeCam(t), startRTMPSink(t)
	var taps [uplinks]*tap
	var pushes strings.Builder
	for i := range taps {
		taps[i] = startTapOn(t, listenIn(t, line.Space, line.Far+":0"), "127.0.0.1:"+sink.port)
		fmt.Fprintf(&pushes, "  p%02d: {camera: cam1, url: %q, priority: %d}\n", i, taps[i].url(fmt.Sprint("key", i)), i)
	}
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\nhls: {window: 10m}\n"+
		"cameras:\n  cam1: {url: %q}\npushes:\n%s", cam.url("cam1"), pushes.String()))
	awaitAll := func(limit time.Duration, what string) {
		t.Helper()
		eventually(t, limit, what, func() error {
			st, err := b.status()
			for _, p := range st.Pushes {
				if p.State != "active" {
					return fmt.Errorf("%s is %s: %s", p.Name, p.State, p.Reason)
				}
			}
			return err
		})
	}
	awaitAll(time.Minute, "all pushes are active")
	_, ended := startFFmpeg(t, "-rtsp_transport", "tcp", "-i", b.rtsp("cam1"))
	plays := cam.requests("PLAY")
	line.Set(t, "down")
	down := time.Now()
	eventually(t, time.Minute, "all pushes notice", func() error {
		st, err := b.status()
		for _, p := range st.Pushes {
			if p.State == "active" {
				return fmt.Errorf("%s is active", p.Name)
			}
		}
		return err
	})
	for _, s := range taps {
		s.hangUp() // the other side has noticed too, and lets them publish again
	}
	<-time.After(time.Until(down.Add(outage)))
	line.Set(t, "up")
	up := time.Now()
	awaitAll(30*time.Second, "all pushes are active again")
	t.Logf("all active %v after the return", time.Since(up).Round(10*time.Millisecond))
	checkReturn(t, taps[:], up)
	select {
	case <-ended:
		t.Error("the RTSP viewer was sent away")
	default:
	}
	b.checkNoGap("cam1")
	if n := cam.requests("PLAY"); n != plays {
		t.Errorf("the camera was asked to play %d times more", n-plays)
	}
}

// checkReturn looks at how the pushes have called after the return of the line.
func checkReturn(t *testing.T, taps []*tap, up time.Time) {
	type call struct {
		at       time.Time
		priority int
	}
	var all []call
	for i, s := range taps {
		for _, at := range s.called() {
			if at.After(up) {
				all = append(all, call{at, i})
			}
		}
	}
	slices.SortFunc(all, func(a, b call) int { return a.at.Compare(b.at) })
	var order []int
	for i, c := range all {
		order = append(order, c.priority)
		if i >= 4 && c.at.Sub(all[i-4].at) < time.Second {
			t.Errorf("five connects within %v", c.at.Sub(all[i-4].at))
		}
	}
	t.Logf("in the order %v, the first %v after the return", order, all[0].at.Sub(up).Round(10*time.Millisecond))
	if len(order) != len(taps) || !slices.IsSortedFunc(order[1:], func(a, b int) int { return b - a }) {
		t.Errorf("in the order %v", order)
	}
}
