package hls

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestGohlslibPlays plays with a low-latency client that we did not write. It
// loads nothing but what it is hinted at, so each hint has to come true.
func TestGohlslibPlays(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H265AAC} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			stream := hub.NewStream("gate")
			open := func(context.Context, hub.Request) (*hub.Subscription, error) {
				return &hub.Subscription{Stream: stream, Context: context.Background(), Close: func(error) {}}, nil
			}
			server := NewServer(settings(), openRoot(t, t.TempDir()), NewBudget(1<<30, 1<<30), open, quiet())
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			defer all.Wait()
			defer cancel()
			all.Go(func() { server.Run(ctx) })             // it returns nil
			all.Go(func() { server.Package(ctx, stream) }) // it returns nil
			packets := mediatest.NewPacketizer(t, clip.Tracks)
			all.Go(func() { mediatest.Feed(ctx, stream, clip, packets, true) }) // its end is told below
			web := httptest.NewServer(server)
			defer web.Close()
			watchWith(t, web.URL+"/gate/index.m3u8")
		})
	}
}

// watchWith plays until there have been some seconds of pictures and sound.
func watchWith(t *testing.T, url string) {
	t.Helper()
	var pictures, sounds, parts, segments atomic.Int64
	enough := make(chan struct{})
	done := sync.OnceFunc(func() { close(enough) })
	c := &gohlslib.Client{URI: url, StartDistance: 1}
	c.OnDownloadPart = func(string) { parts.Add(1) }
	c.OnDownloadSegment = func(uri string) {
		if !strings.Contains(uri, initPrefix) {
			segments.Add(1)
		}
	}
	c.OnDecodeError = func(err error) { t.Error(err) }
	c.OnTracks = func(tracks []*gohlslib.Track) error {
		for _, track := range tracks {
			if _, ok := track.Codec.(*codecs.MPEG4Audio); ok {
				c.OnDataMPEG4Audio(track, func(int64, [][]byte) { sounds.Add(1) })
				continue
			}
			c.OnDataH26x(track, func(int64, int64, [][]byte) {
				if pictures.Add(1) >= 75 && sounds.Load() > 0 && parts.Load() > 12 {
					done()
				}
			})
		}
		return nil
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait2() }()
	select {
	case <-enough:
		c.Close()
		<-ended
	case err := <-ended:
		t.Fatalf("it gave up: %v", err)
	case <-time.After(time.Minute):
		c.Close()
		<-ended
		t.Errorf("%d pictures, %d sounds, %d parts", pictures.Load(), sounds.Load(), parts.Load())
	}
	if segments.Load() > 0 {
		t.Errorf("it loaded %d segments: it does not take the latency for low", segments.Load())
	}
}
