package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallSite is a daemon whose tmpfs holds two seconds of its cameras.
type smallSite struct {
	*box

	t       *testing.T
	dir     string // the tmpfs
	cameras []string
}

// startSmallSite runs four cameras of 8 Mbit/s on 8 MiB, or in the long form
// eight on 16.
func startSmallSite(t *testing.T, pushes func(camera string) string) *smallSite {
	t.Helper()
	s := &smallSite{t: t, dir: filepath.Join(t.TempDir(), "shm")}
	n := 4
	if soaking() {
		n = 8
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", s.dir, "tmpfs", 0, fmt.Sprintf("size=%dm", 2*n)); err != nil {
		t.Fatalf("cannot mount a tmpfs, which this test needs root for: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(s.dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	url := startGstCams(t, "0").url("/big") // one picture for all of them
	var config strings.Builder
	config.WriteString("version: 1\naccess: {view: open}\nhls: {segment: 1s}\ncameras:\n")
	for i := range n {
		s.cameras = append(s.cameras, fmt.Sprint("cam", i+1))
		fmt.Fprintf(&config, "  cam%d: {url: %q}\n", i+1, url)
	}
	s.box = startBoxIn(t, s.dir, config.String()+"pushes:\n"+pushes("cam1"))
	s.awaitActive(s.cameras...)
	return s
}

// free returns the bytes that the tmpfs has left.
func (s *smallSite) free() int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		s.t.Error(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// watchFree returns the least that was free until ctx is done.
func (s *smallSite) watchFree(ctx context.Context) int64 {
	least := s.free()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return least
		case <-tick.C:
			least = min(least, s.free())
		}
	}
}

// fill lets somebody else take all that is free, again and again until ctx is done.
func (s *smallSite) fill(ctx context.Context) {
	f, err := os.Create(filepath.Join(s.dir, "of-somebody-else"))
	if err != nil {
		s.t.Error(err)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for full := make([]byte, 1<<16); ; {
		if _, err := f.Write(full); err == nil {
			continue
		} else if !errors.Is(err, unix.ENOSPC) {
			s.t.Error(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow follows all playlists of all cameras until ctx is done.
func (s *smallSite) follow(ctx context.Context) (total sightings) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards total
	base := s.http("")
	for _, camera := range s.cameras {
		wg.Go(func() {
			f := newListFollower(base + camera)
			for ctx.Err() == nil {
				f.round(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(f.seen)
		})
	}
	wg.Wait()
	return total
}

// TestATmpfsThatIsTooSmall follows every playlist of cameras whose tmpfs holds
// hardly two seconds of them: it is never full, and what is listed is there.
// Then somebody else fills it. No viewer by RTSP and no push notices either.
func TestATmpfsThatIsTooSmall(t *testing.T) {
	sink := startRTMPSink(t)
	s := startSmallSite(t, func(camera string) string {
		return fmt.Sprintf("  up: {camera: %s, url: %q}\n", camera, sink.url("up"))
	})
	s.awaitPush("up", "active")
	phase := howLong(t, 7*time.Second)
	viewer := filepath.Join(t.TempDir(), "viewer.crc")
	var viewing sync.WaitGroup
	defer viewing.Wait()
	viewing.Go(func() {
		_, errs, err := tool(t, 3*phase+2*time.Minute, "ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp",
			"-i", s.rtsp("cam2")+"?start=live", "-t", fmt.Sprint((2 * phase).Seconds()), "-c", "copy", "-f", "framecrc", viewer)
		if err != nil || errs != "" {
			t.Errorf("the viewer: %v\n%s", err, errs)
		}
	})
	before := s.total()
	alone, cancel := context.WithTimeout(t.Context(), phase)
	defer cancel()
	var least int64
	var wg sync.WaitGroup
	wg.Go(func() { least = s.watchFree(alone) })
	got := s.follow(alone)
	wg.Wait()
	rate := float64(s.total()-before) * 8 / phase.Seconds() / 1e6
	t.Logf("alone: %.0f Mbit/s come in, at least %d KiB are free; %v", rate, least>>10, got)
	if least <= 0 {
		t.Error("the tmpfs was full")
	}
	got.check(t, 100)
	together, cancel := context.WithTimeout(t.Context(), phase)
	defer cancel()
	wg.Go(func() { s.fill(together) })
	got = s.follow(together)
	wg.Wait()
	t.Logf("filled by somebody else: %v", got)
	got.check(t, 0)
	eventually(t, time.Minute, "HLS of all cameras recovers", s.recovered)
	viewing.Wait()
	r := readFrames(t, viewer)
	if len(r.video) > 3 {
		checkSteady(t, "the viewer's pictures", r.video[3:], 0.04, 0.0215)
	}
	t.Logf("the viewer got %d pictures", len(r.video))
	s.pushed(sink.recording("up"), phase)
}

// total returns the bytes that have come from all cameras.
func (s *smallSite) total() (sum uint64) {
	s.t.Helper()
	st, err := s.status()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range st.Cameras {
		sum += c.Bytes
	}
	return sum
}

// recovered tells whether all cameras have segments again.
func (s *smallSite) recovered() error {
	for _, camera := range s.cameras {
		c, err := s.camera(camera)
		switch {
		case err != nil:
			return err
		case c.HLS == nil || c.HLS.Error != "" || c.HLS.Bytes == 0:
			return fmt.Errorf("%s: %+v", camera, c.HLS)
		}
	}
	return nil
}

// pushed looks at what has come by the push: all of it, without a seam.
func (s *smallSite) pushed(recording string, phase time.Duration) {
	s.t.Helper()
	p, err := s.push("up")
	if err != nil || p.State != "active" || p.Lost != 0 || len(p.Errors) > 0 {
		s.t.Errorf("the push: %+v, %v", p, err)
	}
	video := probe(s.t, time.Minute, recording).times(s.t, "video")
	if want := int(2 * phase.Seconds() * 20); len(video) < want {
		s.t.Errorf("the push has brought %d pictures, want %d", len(video), want)
	}
	if len(video) > 3 {
		checkSteady(s.t, "the push's pictures", video[3:], 0.04, 0.0215)
	}
	s.t.Logf("the push brought %d pictures", len(video))
}
