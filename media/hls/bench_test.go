package hls

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// synthetic returns one GOP of 2 s with 4 Mbit/s of video in 25 pictures a
// second and AAC of 64 kbit/s, as batches of 40 ms.
func synthetic(tb testing.TB) (tracks []*media.Track, batches [][]*media.Unit) {
	tb.Helper()
	tracks = mediatest.MakeClip(tb, mediatest.H264AAC).Tracks
	const frame = 40 * time.Millisecond
	audio := time.Duration(0)
	for i := range 50 {
		nal := make([]byte, 20_000)
		nal[0] = 0x41
		if i == 0 {
			nal[0] = 0x65
		}
		at := time.Second + time.Duration(i)*frame
		batch := []*media.Unit{{Track: tracks[0], PTS: at, DTS: at, Data: [][]byte{nal}, Key: i == 0}}
		for ; audio < time.Duration(i+1)*frame; audio += 1024 * time.Second / 48000 {
			at := time.Second + audio
			batch = append(batch, &media.Unit{Track: tracks[1], PTS: at, DTS: at, Data: [][]byte{make([]byte, 170)}})
		}
		batches = append(batches, batch)
	}
	return tracks, batches
}

// shmRoot returns a directory on a tmpfs.
func shmRoot(tb testing.TB) *os.Root {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hls-*")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) }) // best effort
	return openRoot(tb, dir)
}

// cpu returns the time that this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// later returns copies of a batch for the n-th GOP.
func later(batch []*media.Unit, n int, wall time.Time) []*media.Unit {
	out := make([]*media.Unit, len(batch))
	for i, u := range batch {
		v := *u
		v.PTS += time.Duration(n) * 2 * time.Second
		v.DTS += time.Duration(n) * 2 * time.Second
		v.Wall = wall
		out[i] = &v
	}
	return out
}

// BenchmarkMuxer packages one second of a stream for each operation, on a
// tmpfs that holds 14 s.
func BenchmarkMuxer(b *testing.B) {
	tracks, batches := synthetic(b)
	cfg := Config{Segment: 2 * time.Second, Part: 400 * time.Millisecond, Window: 14 * time.Second}
	stream := hub.NewStream("gate")
	stream.SetTracks(tracks)
	m := NewMuxer(cfg, shmRoot(b), NewBudget(9<<20, 1<<30), stream, quiet())
	p := m.open()
	b.SetBytes(508_000)
	b.ReportAllocs()
	n, wall := 0, time.Now()
	used := cpu(b)
	for b.Loop() {
		for range 25 {
			for _, u := range later(batches[n%50], n/50, wall) {
				p.unit(u, false)
			}
			n++
		}
	}
	b.ReportMetric(float64((cpu(b)-used).Microseconds())/1000/float64(b.N), "cpu-ms/stream-s")
}

// BenchmarkMuxers runs 32 streams in real time for each operation of 4 s: what
// waking up costs is in it.
func BenchmarkMuxers(b *testing.B) {
	const streams, seconds = 32, 4
	tracks, batches := synthetic(b)
	cfg := Config{Segment: 2 * time.Second, Part: 400 * time.Millisecond, Window: 14 * time.Second}
	root, budget := shmRoot(b), NewBudget(9<<20, 1<<30)
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	feeds := make([]*hub.Stream, streams)
	for i := range feeds {
		feeds[i] = hub.NewStream("cam" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		feeds[i].SetTracks(tracks)
		m := NewMuxer(cfg, root, budget, feeds[i], quiet())
		all.Go(func() { m.Run(ctx) }) // it returns nil
	}
	ticker := time.NewTicker(40 * time.Millisecond)
	defer ticker.Stop()
	n := 0
	used := cpu(b)
	for b.Loop() {
		for range seconds * 25 {
			wall := <-ticker.C
			batch := later(batches[n%50], n/50, wall)
			for _, s := range feeds {
				s.Units.Append(batch...)
			}
			n++
		}
	}
	b.ReportMetric(float64((cpu(b)-used).Microseconds())/1000/float64(b.N*streams*seconds), "cpu-ms/stream-s")
	cancel()
	all.Wait()
}

// BenchmarkFloor writes the same bytes as one write for each part.
func BenchmarkFloor(b *testing.B) {
	root := shmRoot(b)
	part := make([]byte, 203_200)
	b.SetBytes(508_000)
	var f *os.File
	used := cpu(b)
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			if f != nil {
				f.Close() // a benchmark
				if i >= 16 {
					root.Remove("s" + string(rune('a'+i/2%9))) // a benchmark
				}
			}
			f, _ = root.Create("s" + string(rune('a'+i/2%9))) // a benchmark
		}
		for range 5 {
			f.Write(part[:len(part)/2]) // a benchmark
		}
	}
	b.ReportMetric(float64((cpu(b)-used).Microseconds())/1000/float64(b.N), "cpu-ms/stream-s")
}

// BenchmarkLivePlaylist is what one part costs when so many viewers wait for
// it: the playlist is made, and each viewer's query is put into its copy.
func BenchmarkLivePlaylist(b *testing.B) {
	for _, viewers := range []int{1, 200} {
		b.Run(strconv.Itoa(viewers)+" viewers", func(b *testing.B) {
			tracks, batches := synthetic(b)
			cfg := Config{Segment: 2 * time.Second, Part: 400 * time.Millisecond, Window: 14 * time.Second}
			stream := hub.NewStream("gate")
			stream.SetTracks(tracks)
			m := NewMuxer(cfg, shmRoot(b), NewBudget(9<<20, 1<<30), stream, quiet())
			p := m.open()
			for n := range 800 {
				for _, u := range later(batches[n%50], n/50, time.Now()) {
					p.unit(u, false)
				}
			}
			t, _ := m.terms()
			m.settle(t)
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				m.mu.Lock()
				m.changed()
				m.mu.Unlock()
				for range viewers {
					text, err := m.lowLatency(false)
					if err != nil {
						b.Fatal(err)
					}
					size = len(text.With("?session=GLUHEVQW6OOHCIHYUNSB4FUG6P", 0))
				}
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
