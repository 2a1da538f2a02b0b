package hls

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func TestAClosedStreamIsNotPackaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.watch(3 * time.Second)
		s.door.stream.Close()
		synctest.Wait()
		begin := time.Now()
		if w := s.get("/gate/hls.m3u8", "", ""); w.Code != 503 || time.Since(begin) > time.Second {
			t.Errorf("after %v: %d %s", time.Since(begin), w.Code, w.Body)
		}
		if err := s.server.Package(t.Context(), s.door.stream); !errors.Is(err, hub.ErrEnded) {
			t.Errorf("Package returned %v", err)
		}
		synctest.Wait()
		if dirs, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(dirs) > 0 {
			t.Errorf("left: %v", dirs)
		}
		if st, ok := s.server.Status("gate"); ok {
			t.Errorf("packaged: %+v", st)
		}
	})
}

// TestAStreamOfTheSameNameIsAnother removes a camera and adds it again while
// the daemon has yet to clean up after the first.
func TestAStreamOfTheSameNameIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.watch(3 * time.Second)
		old := s.door.stream
		again := hub.NewStream("gate")
		clip := mediatest.MakeClip(t, mediatest.H264AAC)
		again.SetTracks(clip.Tracks)
		defer again.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- s.server.Package(ctx, again) }()
		synctest.Wait()
		if st := s.server.running[product{name: "gate"}]; st == nil || st.stream != old {
			t.Error("a stream that lives on has lost its packager")
		}
		old.Close()
		synctest.Wait()
		again.Units.Append(clip.Until(5 * time.Second)...)
		s.door.stream = again
		if err := s.server.Remove("gate"); err != nil { // of the old one, late
			t.Fatal(err)
		}
		if err := s.server.Package(ctx, old); !errors.Is(err, hub.ErrEnded) {
			t.Errorf("Package of the old one returned %v", err)
		}
		if w := s.get("/gate/hls.m3u8", "", ""); w.Code != 200 {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		if opened, closed := s.door.counts(); opened != 2 || closed != 1 {
			t.Errorf("%d sessions opened, %d closed, want one for each stream", opened, closed)
		}
		select {
		case err := <-ended:
			t.Errorf("the packaging of the new one has ended: %v", err)
		default:
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAPanicEndsThePackagingAlone(t *testing.T) {
	poison := &media.Unit{Key: true} // of no track
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.watch(5 * time.Second)
		before := parseList(t, s.get("/gate/hls.m3u8", "", "").Body.Bytes())
		s.door.stream.Units.Append(poison)
		synctest.Wait()
		if n := s.door.stream.Units.Readers(); n != 0 {
			t.Fatalf("%d readers: the packager has not ended", n)
		}
		if used, _ := s.server.budget.Used(); used != 0 {
			t.Errorf("%d bytes are still accounted for", used)
		}
		time.Sleep(time.Second) // to a key picture without the poison before it
		s.watch(5 * time.Second)
		after := parseList(t, s.get("/gate/hls.m3u8", "", "").Body.Bytes())
		if err := follows(before, after); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.server.Package(ctx, s.door.stream) }()
		time.Sleep(5 * time.Second)
		s.door.stream.Units.Append(poison)
		time.Sleep(again + 3*time.Second)
		if st, ok := s.server.Status("gate"); !ok || st.Segments == 0 {
			t.Errorf("what is to be packaged always is not packaged anew: %+v", st)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
