package depay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/mediatest"
	"camrelay/media/timeline"
)

// rig sends the units of a clip as packets to an assembler, and lets a test
// meddle with what is in between.
type rig struct {
	t    *testing.T
	clip *mediatest.Clip
	asm  *depay.Assembler
	pack *mediatest.Packetizer
	next int
	late time.Duration // added to arrival times
	out  []*media.Unit
}

func newRig(t *testing.T, kind mediatest.Kind, edit func(*media.Track)) *rig {
	t.Helper()
	c := mediatest.MakeClip(t, kind)
	tracks := make([]*media.Track, len(c.Tracks))
	for i, track := range c.Tracks {
		copied := *track
		tracks[i] = &copied
	}
	if edit != nil {
		edit(tracks[0])
	}
	asm, err := depay.NewAssembler(tracks, timeline.New())
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, clip: c, asm: asm, pack: mediatest.NewPacketizer(t, c.Tracks)}
}

// send sends n units; keep tells whether the packets of one are delivered.
func (r *rig) send(n int, keep func(u *media.Unit, p *media.Packets) bool) {
	r.t.Helper()
	for range n {
		u := r.clip.Unit(r.next)
		r.next++
		u.Wall = begin.Add(u.DTS + r.late)
		p, err := r.pack.Packets(u)
		if err != nil {
			r.t.Fatal(err)
		}
		if keep == nil || keep(u, &p) {
			r.out = r.asm.Packets(p, r.out)
		}
	}
}

// pictures prints the video units since the last call by the number of the
// picture in the clip, k for a key picture, ! for a gap.
func (r *rig) pictures() string {
	var b strings.Builder
	for _, u := range r.out {
		if u.Track.Kind != media.KindVideo {
			continue
		}
		fmt.Fprintf(&b, "%d", (u.PTS-time.Second+20*time.Millisecond)/(40*time.Millisecond))
		if u.Key {
			b.WriteByte('k')
		}
		if u.Gap {
			b.WriteByte('!')
		}
		b.WriteByte(' ')
	}
	r.out = nil
	return b.String()
}

// without delivers all but the numbered pictures.
func without(pictures ...int) func(*media.Unit, *media.Packets) bool {
	return func(u *media.Unit, _ *media.Packets) bool {
		return !slices.Contains(pictures, int((u.PTS-time.Second)/(40*time.Millisecond)))
	}
}

func span(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "%d", i)
		if i%25 == 0 {
			b.WriteByte('k')
		}
		b.WriteByte(' ')
	}
	return b.String()
}

func TestAMissingPictureStopsVideoUntilTheNextKeyPicture(t *testing.T) {
	r := newRig(t, mediatest.H264, nil)
	r.send(60, without(30, 31))
	want := span(0, 29) + "50k! " + span(51, 59)
	if got := r.pictures(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s := r.asm.Stats(0); s.Lost == 0 || s.Skipped != 18 {
		t.Errorf("got %+v, want 18 skipped", s)
	}
}

func TestAPictureThatNothingRefersToMayBeMissing(t *testing.T) {
	r := newRig(t, mediatest.H264BOnly, nil)
	r.send(60, func(u *media.Unit, _ *media.Packets) bool {
		for _, nal := range u.Data { // nal_ref_idc 0
			if nal[0]&0x1f == 1 && nal[0]&0x60 == 0 && u.DTS > 2*time.Second {
				return false
			}
		}
		return true
	})
	for _, u := range r.out {
		if u.Gap && !u.Key { // before a key picture nobody can tell what was missing
			t.Errorf("a gap at %v", u.PTS)
		}
	}
	if s := r.asm.Stats(0); s.Skipped != 0 || s.Lost == 0 || len(r.out) < 35 {
		t.Errorf("%d units, %+v; want nothing skipped", len(r.out), s)
	}
}

func TestACounterThatJumpsLosesNothing(t *testing.T) {
	r := newRig(t, mediatest.H264, nil)
	r.send(60, func(u *media.Unit, p *media.Packets) bool {
		for packet := range p.RTP() {
			seq := uint16(packet[2])<<8 | uint16(packet[3])
			if u.PTS >= 2200*time.Millisecond {
				seq += 7
			}
			packet[2], packet[3] = byte(seq>>8), byte(seq)
		}
		return true
	})
	if got, want := r.pictures(), span(0, 59); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParameterSetsInBandOnly(t *testing.T) {
	r := newRig(t, mediatest.H265B, func(t *media.Track) { t.VPS, t.SPS, t.PPS, t.Width = nil, nil, nil, 0 })
	r.send(100, nil)
	tracks, changed := r.asm.Tracks()
	if !changed || !tracks[0].Ready() || tracks[0].Width != 320 {
		t.Fatalf("changed %v, track %+v", changed, tracks[0])
	}
	if _, changed := r.asm.Tracks(); changed {
		t.Error("changed is told twice")
	}
	for _, u := range r.out {
		if u.Track.Kind == media.KindVideo && u.Track != tracks[0] {
			t.Fatal("a unit has another track than Tracks tells")
		}
	}
	if len(r.out) < 90 {
		t.Errorf("%d units", len(r.out))
	}
}

func TestStaleParameterSetsInTheSDP(t *testing.T) {
	for name, stale := range map[string][]byte{
		"of another picture size": mediatest.MakeClip(t, mediatest.H264Large).Tracks[0].SPS,
		"not an SPS at all":       {0x67, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mediatest.H264, func(t *media.Track) { t.SPS = stale })
			r.send(60, nil)
			if tracks, changed := r.asm.Tracks(); !changed || tracks[0].Width != 320 {
				t.Errorf("changed %v, width %d", changed, tracks[0].Width)
			}
			if got, want := r.pictures(), span(0, 59); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestNewParameterSetsInBandMakeANewTrack(t *testing.T) {
	r := newRig(t, mediatest.H264, nil)
	r.send(50, nil)
	first := r.out[0].Track
	large := mediatest.MakeClip(t, mediatest.H264Large)
	for _, u := range large.Until(3 * time.Second) {
		if u.Track.ID == 0 {
			u.PTS += 2 * time.Second
			u.Wall = begin.Add(u.PTS)
			p, err := r.pack.Packets(u)
			if err != nil {
				t.Fatal(err)
			}
			r.out = r.asm.Packets(p, r.out)
		}
	}
	for i, u := range r.out {
		if (u.Track != first) != (i >= 50) || u.Gap {
			t.Fatalf("unit %d: new track %v, gap %v", i, u.Track != first, u.Gap)
		}
	}
	if last := r.out[len(r.out)-1].Track; last.Width != 640 || last.ID != 0 {
		t.Errorf("new track is %d wide, ID %d", last.Width, last.ID)
	}
}

func TestReconnect(t *testing.T) {
	for name, connect := range map[string]func(*rig, *media.Packets){
		"told by Connect":     func(r *rig, _ *media.Packets) { r.asm.Connect() },
		"told by Packets.Gap": func(_ *rig, p *media.Packets) { p.Gap = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mediatest.H264AAC, nil)
			r.send(200, nil)
			before := len(r.out)
			last := r.out[before-1].PTS
			r.late = 20 * time.Second
			told := map[int]bool{}
			r.send(400, func(u *media.Unit, p *media.Packets) bool {
				if !told[u.Track.ID] && (name != "told by Connect" || len(told) == 0) {
					connect(r, p)
				}
				told[u.Track.ID] = true
				return true
			})
			after := r.out[before:]
			gaps := map[media.Kind]int{}
			for i, u := range after {
				if u.Gap {
					gaps[u.Track.Kind]++
				}
				if i > 10 && !u.Gap && gaps[media.KindVideo] > 0 && u.PTS < last+19*time.Second {
					t.Fatalf("unit %d: PTS %v, %v before the outage of 20 s", i, u.PTS, last)
				}
			}
			if gaps[media.KindVideo] != 1 || gaps[media.KindAudio] != 1 {
				t.Errorf("gaps %v, want one for each track", gaps)
			}
		})
	}
}

func TestLossThatIsMarkedAsGap(t *testing.T) {
	r := newRig(t, mediatest.H264AAC, nil)
	last := map[int]uint16{}
	n := 0
	r.send(600, func(u *media.Unit, p *media.Packets) bool {
		if u.Track.Kind == media.KindAudio {
			if n++; n%50 == 0 {
				return false
			}
		}
		seq, known := last[u.Track.ID]
		p.Gap = known && p.Sequence() != seq+1
		last[u.Track.ID] = p.Sequence() + uint16(p.N) - 1
		return true
	})
	for i, u := range r.out {
		if u.Gap {
			t.Fatalf("unit %d: one lost frame of audio is no gap", i)
		}
	}
	if s := r.asm.Stats(1); s.Lost == 0 {
		t.Error("nothing was lost")
	}
}

func TestAMarkedGapWithoutAHoleInTimeIsNone(t *testing.T) {
	r := newRig(t, mediatest.H264, nil) // as where each group has an SSRC of its own
	r.send(100, func(u *media.Unit, p *media.Packets) bool {
		p.Gap = u.Key
		return true
	})
	if got, want := r.pictures(), span(0, 99); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestANewAssemblerGoesOnOnTheSameTimeLine(t *testing.T) {
	r := newRig(t, mediatest.H264AAC, nil)
	tl := timeline.New()
	offset := map[media.Kind]time.Duration{}
	for range 5 {
		asm, err := depay.NewAssembler(r.clip.Tracks, tl)
		if err != nil {
			t.Fatal(err)
		}
		r.asm, r.out = asm, nil
		first := r.next
		r.send(300, nil)
		for i, u := range r.out {
			kind := u.Track.Kind
			sent := (u.Wall.Sub(begin) - u.PTS).Round(2 * time.Millisecond)
			if _, ok := offset[kind]; !ok {
				offset[kind] = sent
			}
			if sent != offset[kind] || u.Gap {
				t.Fatalf("unit %d after %d: %v, was %v; gap %v", i, first, sent, offset[kind], u.Gap)
			}
		}
		r.send(3000, func(*media.Unit, *media.Packets) bool { return false }) // nobody wants units for a minute
		for !r.clip.Unit(r.next).Key {
			r.next++
		}
		r.pack = mediatest.NewPacketizer(t, r.clip.Tracks)
	}
}

func TestAudioAloneIsAStartEverywhere(t *testing.T) {
	r := newRig(t, mediatest.AAC, nil)
	r.send(20, nil)
	for i, u := range r.out {
		if !u.Key {
			t.Fatalf("unit %d is no start", i)
		}
	}
	r = newRig(t, mediatest.H264AAC, nil)
	r.send(100, nil)
	for i, u := range r.out {
		if u.Key && u.Track.Kind == media.KindAudio {
			t.Fatalf("unit %d: audio is a start beside video", i)
		}
	}
}
