package hub

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"camrelay/media"
)

func benchLog() *Log[media.Packets] {
	return NewLog(Limits{Entries: 1 << 12, Bytes: 16 << 20, Keep: time.Millisecond},
		func(p media.Packets) int { return len(p.Wire) },
		func(p media.Packets) bool { return p.Key })
}

// BenchmarkAppend shows that Append costs the writer the same whatever the
// number of sleeping readers.
func BenchmarkAppend(b *testing.B) {
	for _, readers := range []int{0, 1, 100, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			l := benchLog()
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			for range readers {
				r := l.Reader("bench", Live)
				wg.Go(func() {
					defer r.Close()
					var dst [64]media.Packets
					for {
						if _, _, err := r.Read(ctx, dst[:]); err != nil {
							return
						}
					}
				})
			}
			p := media.Packets{Wire: make([]byte, 20000), N: 15}
			b.SetBytes(int64(len(p.Wire)))
			b.ReportAllocs()
			var spent time.Duration
			i := 0
			for b.Loop() {
				p.Key = i%50 == 0
				t := time.Now()
				l.Append(p)
				spent += time.Since(t)
				i++
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "writer-ns/op")
			cancel()
			wg.Wait()
		})
	}
}

// BenchmarkRead is the cost of one entry for one reader that keeps up.
func BenchmarkRead(b *testing.B) {
	l := benchLog()
	r := l.Reader("bench", Live)
	defer r.Close()
	p := media.Packets{Wire: make([]byte, 20000), N: 15, Key: true}
	var dst [1]media.Packets
	b.SetBytes(int64(len(p.Wire)))
	b.ReportAllocs()
	for b.Loop() {
		l.Append(p)
		if n, _ := r.TryRead(dst[:]); n != 1 {
			b.Fatal("nothing to read")
		}
	}
}
