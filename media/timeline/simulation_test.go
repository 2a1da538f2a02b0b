package timeline

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"camrelay/media"
)

// judge checks what must hold whatever a camera does.
type judge struct {
	t     *testing.T
	tl    *Timeline
	dts   *DTS
	high  map[*media.Track]time.Duration
	seen  map[*media.Track]bool
	last  time.Duration
	fresh map[*media.Track]bool // a new connection, no frame yet
}

func newJudge(t *testing.T, depth int) *judge {
	return &judge{
		t: t, tl: New(), dts: NewDTS(depth), high: map[*media.Track]time.Duration{},
		seen: map[*media.Track]bool{}, fresh: map[*media.Track]bool{},
	}
}

func (j *judge) frame(track *media.Track, rtp uint32, at time.Duration) time.Duration {
	j.t.Helper()
	pts, gap := j.tl.Time(track, rtp, epoch.Add(at))
	if j.seen[track] && !track.Reorder && pts < j.high[track]+tick {
		j.t.Fatalf("track %d at %v: %v after %v", track.ID, at, pts, j.high[track])
	}
	if j.fresh[track] && !gap || gap && !j.seen[track] {
		j.t.Fatalf("track %d at %v: gap is %v", track.ID, at, gap)
	}
	if pts < 0 {
		j.t.Fatalf("track %d at %v: %v", track.ID, at, pts)
	}
	if track.Kind == media.KindVideo {
		dts, shown := j.dts.Next(pts, 40*ms, gap)
		if j.seen[track] && dts < j.last || dts > shown || shown < pts {
			j.t.Fatalf("at %v: DTS %v after %v, PTS %v shown at %v", at, dts, j.last, pts, shown)
		}
		j.last = dts
	}
	j.high[track] = max(j.high[track], pts)
	j.seen[track], j.fresh[track] = true, false
	return pts
}

func (j *judge) connect() {
	j.tl.Connect()
	for track := range j.seen {
		j.fresh[track] = true
	}
}

// TestSimulation lets cameras do everything that they do, for many seeds, and
// in the end be sane for a while: then the stream must be sane as well.
func TestSimulation(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		v := video
		if seed%2 == 1 {
			v = reordered
		}
		j := newJudge(t, int(seed%4)-1)
		var at, silence time.Duration
		base := map[*media.Track]uint32{v: rnd.Uint32(), audio: rnd.Uint32()}
		stamp := func(track *media.Track) uint32 {
			return base[track] + uint32(media.ToTicks(at, track.ClockRate))
		}
		for n := range 3000 {
			at += 40 * ms
			chaos := n < 2500
			switch dice := rnd.IntN(400); {
			case chaos && dice == 0:
				at += time.Duration(rnd.Int64N(int64(30 * time.Second)))
				j.connect()
				base[v], base[audio] = rnd.Uint32(), rnd.Uint32()
			case chaos && dice == 1: // the clocks step
				step := rnd.Uint32()
				base[v] += step
				base[audio] += uint32(uint64(step) * 48 / 90)
			case chaos && dice == 2: // silence
				silence = time.Duration(rnd.Int64N(int64(20 * time.Second)))
				at += silence
			case chaos && dice == 3:
				j.tl.Interrupted(v)
			case chaos && dice < 10: // one frame stamped anywhere
				j.frame(v, rnd.Uint32(), at)
				continue
			case chaos && dice < 15: // twice
				j.frame(v, stamp(v), at)
			case chaos && dice < 20:
				wall := time.Duration(rnd.Int64N(int64(time.Hour)))
				j.tl.SenderReport(v, epoch.Add(at+wall), stamp(v), epoch.Add(at))
				j.tl.SenderReport(audio, epoch.Add(at), stamp(audio), epoch.Add(at))
			}
			lag := time.Duration(rnd.Int64N(int64(20 * ms)))
			pv := j.frame(v, stamp(v), at+lag)
			pa := j.frame(audio, stamp(audio), at+lag)
			if skew := (pv - pa).Abs(); n > 2700 && skew > 3*time.Second {
				t.Fatalf("seed %d: audio and video are %v apart in the end", seed, skew)
			}
		}
	}
}

// FuzzTimeline reads a sequence of frames: a byte of track and operation, the
// step of the stamp, the step of the arrival clock in milliseconds.
func FuzzTimeline(f *testing.F) {
	frame := func(op byte, stamp uint32, arrival uint16) []byte {
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32([]byte{op}, stamp), arrival)
	}
	var plain, wild []byte
	for n := range 20 {
		plain = append(plain, frame(byte(n%2), 3600, 40)...)
		wild = append(wild, frame(byte(n%16), uint32(n)<<28, 40)...)
	}
	f.Add(plain, int8(0), false)
	f.Add(wild, int8(2), true)
	f.Fuzz(func(t *testing.T, b []byte, depth int8, reorders bool) {
		j := newJudge(t, int(depth)%20)
		v := video
		if reorders {
			v = reordered
		}
		var at time.Duration
		stamps := map[*media.Track]uint32{}
		for ; len(b) >= 7; b = b[7:] {
			track := v
			if b[0]&1 == 1 {
				track = audio
			}
			stamps[track] += binary.BigEndian.Uint32(b[1:])
			at += time.Duration(binary.BigEndian.Uint16(b[5:])) * ms
			switch b[0] >> 1 & 7 {
			case 1:
				j.connect()
			case 2:
				j.tl.Interrupted(track)
			case 3:
				j.tl.SenderReport(track, epoch.Add(at), stamps[track], epoch.Add(at))
				continue
			}
			j.frame(track, stamps[track], at)
		}
	})
}
