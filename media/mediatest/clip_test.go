package mediatest

import (
	"testing"
	"time"

	"camrelay/media"
)

func TestClipsGoOnForEver(t *testing.T) {
	for _, kind := range append(Kinds(), AAC, H264BOnly, H264Large) {
		t.Run(string(kind), func(t *testing.T) {
			c := MakeClip(t, kind)
			dts := map[*media.Track]time.Duration{}
			counts := map[*media.Track]int{}
			for i := range 3 * c.Round() {
				u := c.Unit(i)
				counts[u.Track]++
				if counts[u.Track] > 1 {
					step, want := u.DTS-dts[u.Track], c.Length/time.Duration(roundLength(u.Track))
					if step < want-2*time.Microsecond || step > want+2*time.Microsecond {
						t.Fatalf("unit %d: %v after its predecessor, want %v", i, step, want)
					}
				}
				if u.DTS > u.PTS || len(u.Data) == 0 {
					t.Fatalf("unit %d: DTS %v, PTS %v, %d NAL units", i, u.DTS, u.PTS, len(u.Data))
				}
				dts[u.Track] = u.DTS
			}
		})
	}
}
