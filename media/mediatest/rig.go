package mediatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// rig feeds a stream with a clip, piece by piece.
type rig struct {
	stream *hub.Stream
	clip   *Clip
	large  *Clip // what follows a change
	pack   *Packetizer
	next   int           // unit of clip
	shift  time.Duration // from the times of clip to those of the stream
	begin  time.Time     // arrival of stream time 0
	gap    map[int]bool  // tracks whose next unit is a Gap
}

// pace tells how fast units are published.
type pace bool

const (
	live pace = true  // when their time has come
	fast pace = false // at once: what comes first as if it had come in time, more as it is
)

func newRig(tb testing.TB, kind Kind) *rig {
	tb.Helper()
	r := &rig{
		stream: hub.NewStream("suite"), clip: MakeClip(tb, kind), large: MakeClip(tb, H264Large), gap: map[int]bool{},
	}
	r.pack = NewPacketizer(tb, r.clip.Tracks)
	r.stream.SetTracks(append([]*media.Track(nil), r.clip.Tracks...))
	tb.Cleanup(r.stream.Close)
	return r
}

// play publishes the next d of the clip.
func (r *rig) play(ctx context.Context, d time.Duration, p pace) error {
	from := r.clip.Unit(r.next).DTS + r.shift
	first := r.next == 0
	if first && p == fast {
		r.begin = time.Now().Add(-from - d)
	} else if at := time.Now().Add(-from); r.begin.Before(at) {
		r.begin = at
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ; ; r.next++ {
		u := r.clip.Unit(r.next)
		u.PTS += r.shift
		u.DTS += r.shift
		if u.DTS >= from+d {
			return nil
		}
		if p == live {
			timer.Reset(time.Until(r.begin.Add(u.DTS)))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		u.Wall = r.begin.Add(u.DTS)
		if p == fast && !first {
			u.Wall = time.Now()
		}
		u.Gap, r.gap[u.Track.ID] = r.gap[u.Track.ID], false
		if err := Publish(r.stream, r.pack, u); err != nil {
			return err
		}
	}
}

// change goes on with another clip: another picture size, the same codecs. It
// does nothing if there is none such.
func (r *rig) change() (changed bool) {
	other := *r.large
	if len(r.clip.Tracks) > len(other.Tracks) {
		return false
	}
	other.Tracks = other.Tracks[:len(r.clip.Tracks)]
	for i, t := range other.Tracks {
		if t.Codec != r.clip.Tracks[i].Codec {
			return false
		}
	}
	other.units = slices.DeleteFunc(slices.Clone(other.units), func(u *media.Unit) bool {
		return u.Track.ID >= len(other.Tracks)
	})
	end := r.clip.Unit(r.next).DTS + r.shift
	r.clip, r.next, r.shift = &other, 0, end-other.units[0].DTS
	r.stream.SetTracks(append([]*media.Track(nil), other.Tracks...))
	return true
}

// skip goes on at the key frame after the next d, as after an outage.
func (r *rig) skip(d time.Duration) {
	from := r.clip.Unit(r.next).DTS
	for ; r.clip.Unit(r.next).DTS < from+d || !r.clip.Unit(r.next).Key; r.next++ {
		continue
	}
	for _, t := range r.clip.Tracks {
		r.gap[t.ID] = true
	}
}

// step is the longest distance of two pictures as they come.
func (r *rig) step() time.Duration {
	if v := r.clip.Video(); v != nil && v.Reorder {
		return 165 * time.Millisecond
	}
	return 45 * time.Millisecond
}

// check tells what is wrong with the pictures that a peer got: there must be at
// least so many, the first a key frame, each as sent but for one step of time
// that may be as long as longest.
func check(got []Received, pictures int, longest time.Duration) error {
	var errs []error
	n, steps := 0, 0
	var high time.Duration
	for _, f := range got {
		if f.Kind != media.KindVideo {
			continue
		}
		if n == 0 && !f.Key {
			errs = append(errs, errors.New("the first picture is not a key frame"))
		}
		if n > 0 && f.PTS > high+longest {
			errs = append(errs, fmt.Errorf("picture %d comes %v after the one before", n, f.PTS-high))
		}
		if n > 0 && f.PTS > high+200*time.Millisecond {
			if steps++; !f.Key {
				errs = append(errs, fmt.Errorf("picture %d after a gap is not a key frame", n))
			}
		}
		if n > 0 && f.PTS < high-200*time.Millisecond {
			errs = append(errs, fmt.Errorf("picture %d goes back by %v", n, high-f.PTS))
		}
		high = max(high, f.PTS)
		n++
	}
	if n < pictures {
		errs = append(errs, fmt.Errorf("the peer got %d pictures, want at least %d", n, pictures))
	}
	if steps > 1 {
		errs = append(errs, fmt.Errorf("%d gaps, want at most one", steps))
	}
	return errors.Join(errs...)
}

// checkSets tells what is wrong with a change of parameter sets.
func checkSets(got []Received) error {
	var last []byte
	changes := 0
	for i, f := range got {
		if f.Kind != media.KindVideo || f.SPS == nil {
			continue
		}
		if last != nil && !bytes.Equal(last, f.SPS) {
			if changes++; !f.Key {
				return fmt.Errorf("frame %d has new parameter sets and is not a key frame", i)
			}
		}
		last = f.SPS
	}
	if last != nil && changes != 1 {
		return fmt.Errorf("the peer saw %d changes of parameter sets, want 1", changes)
	}
	return nil
}
