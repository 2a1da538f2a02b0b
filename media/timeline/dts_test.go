package timeline

import (
	"slices"
	"testing"
	"time"
)

const frame = 40 * time.Millisecond

func frames(ns ...int) []time.Duration {
	var out []time.Duration
	for _, n := range ns {
		out = append(out, Start+time.Duration(n)*frame)
	}
	return out
}

func TestDTS(t *testing.T) {
	for _, tc := range []struct {
		name    string
		depth   int
		pts     []time.Duration
		dts     []time.Duration
		clamped uint64
	}{
		{"without reordering DTS is PTS", 0, frames(0, 1, 2, 5), frames(0, 1, 2, 5), 0},
		{"one B-frame", 1, frames(0, 2, 1, 4, 3, 6, 5), frames(-1, 0, 1, 2, 3, 4, 5), 0},
		{"pyramid of three", 2, frames(0, 4, 2, 1, 3, 8, 6, 5, 7), frames(-2, -1, 0, 1, 2, 3, 4, 5, 6), 0},
		{"a depth told and not used", 2, frames(0, 1, 2, 3), frames(-2, -1, 0, 1), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := NewDTS(tc.depth)
			var got []time.Duration
			for _, pts := range tc.pts {
				dts, shown := d.Next(pts, frame, false)
				if shown != pts {
					t.Errorf("PTS %v became %v", pts, shown)
				}
				got = append(got, dts)
			}
			if !slices.Equal(got, tc.dts) || d.Clamped() != tc.clamped {
				t.Errorf("got %v (%d clamped), want %v", got, d.Clamped(), tc.dts)
			}
		})
	}
}

func TestDTSLearnsADepthThatIsNotTold(t *testing.T) {
	d := NewDTS(-1)
	last := time.Duration(-1)
	var before uint64
	for gop := range 10 {
		for i, n := range []int{4, 2, 1, 3} {
			pts := Start + time.Duration(4*gop+n)*frame
			dts, shown := d.Next(pts, frame, false)
			if dts <= last || dts > shown {
				t.Fatalf("group %d picture %d: DTS %v after %v, PTS %v", gop, i, dts, last, shown)
			}
			if gop > 4 && shown != pts {
				t.Errorf("group %d: PTS %v became %v though the depth should be known", gop, pts, shown)
			}
			last = dts
		}
		if gop == 4 {
			before = d.Clamped()
		}
	}
	if d.Clamped() != before {
		t.Errorf("still clamping: %d", d.Clamped())
	}
}
