package timeline

import (
	"slices"
	"time"
)

// Bounds of reordering.
const (
	maxDepth = 16 // pictures, the most that H.264 and H.265 allow
	maxDelay = 5 * time.Second
)

// DTS makes decoding times for the pictures of one track, given in decoding
// order, without delay and without reading them. It cannot fail: on doubt it
// clamps and counts.
//
// A stream whose pictures wait for at most depth others outputs its n-th
// picture when picture n + depth has been decoded. So the decoding time of a
// picture is the lowest presentation time among the depth + 1 pictures that
// are not yet output: never above its own, and rising.
type DTS struct {
	depth   int
	waiting []time.Duration // presentation times, ascending, at most depth
	last    time.Duration
	begun   bool
	clamped uint64
}

// UnknownDepth stands for a stream that does not tell how far it reorders.
const UnknownDepth = -1

// NewDTS returns a maker for pictures reordered by up to depth. A negative
// depth means that the stream does not tell; it is then learnt from what
// comes, at the price of a clamped presentation time each time it grows.
func NewDTS(depth int) *DTS {
	d := &DTS{}
	d.SetDepth(depth)
	return d
}

// SetDepth changes the depth, when the parameter sets change. Nothing is
// changed by a negative depth.
func (d *DTS) SetDepth(depth int) {
	if depth >= 0 {
		d.depth = min(depth, maxDepth)
	}
}

// Clamped returns how many pictures could not be given consistent times.
func (d *DTS) Clamped() uint64 { return d.clamped }

// Next returns the decoding time of a picture, and its presentation time, which
// is changed only if it lies before an earlier decoding time. step is the usual
// distance of pictures; gap starts anew after lost pictures.
//
// dts ≤ shown always, and dts never falls; it rises unless pts leaves no room.
func (d *DTS) Next(pts, step time.Duration, gap bool) (dts, shown time.Duration) {
	if d.begun && !gap && pts < d.last && d.depth < maxDepth {
		d.depth++
	}
	for len(d.waiting) < d.depth && d.begun && !gap { // the depth has grown: hold the time until it is filled
		d.waiting = slices.Insert(d.waiting, 0, d.last)
	}
	if gap || !d.begun || len(d.waiting) > 0 && pts-d.waiting[0] > max(maxDelay, time.Duration(d.depth+2)*step) {
		d.fill(pts, step)
	}
	i, _ := slices.BinarySearch(d.waiting, pts)
	d.waiting = slices.Insert(d.waiting, i, pts)
	dts = d.waiting[0]
	d.waiting = slices.Delete(d.waiting, 0, len(d.waiting)-d.depth)
	return d.bound(dts, pts)
}

// fill sets up the wait as if pictures had come before pts at their usual
// distance, or closer if there is no room for that since the last one.
func (d *DTS) fill(pts, step time.Duration) {
	if d.begun {
		step = max(0, min(step, (pts-d.last)/time.Duration(d.depth+1)))
	}
	d.waiting = d.waiting[:0]
	for n := d.depth; n > 0; n-- {
		d.waiting = append(d.waiting, pts-time.Duration(n)*step)
	}
}

// bound makes dts rise and lifts pts where it would lie below.
func (d *DTS) bound(dts, pts time.Duration) (time.Duration, time.Duration) {
	if d.begun && dts <= d.last {
		dts = max(d.last, min(d.last+tick, pts))
	}
	if dts > pts {
		d.clamped++
		dts += tick
		pts = dts
	}
	d.last, d.begun = dts, true
	return dts, pts
}
