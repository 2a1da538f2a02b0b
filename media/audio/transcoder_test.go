//go:build cgo

package audio

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

var (
	pcmu = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1,
	}
	l16 = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecL16, ClockRate: 44100, SampleRate: 44100, Channels: 2,
	}
)

// code returns the code of the table that is nearest to v.
func (t *g711) code(v float64) byte {
	best := 0
	for c := range t {
		if math.Abs(float64(t[c])-v) < math.Abs(float64(t[best])-v) {
			best = c
		}
	}
	return byte(best)
}

// codes holds the code for each value of 8 bits, so that tests need not search.
type codes [256]byte

func newCodes(t *g711) *codes {
	var c codes
	for i := range c {
		c[i] = t.code(float64(i-128) * 256)
	}
	return &c
}

func (c *codes) of(v float64) byte { return c[int(math.Round(v*127))+128] }

// unitOf returns a unit of 20 ms of G.711 whose sound is signal of the time
// since origin.
func unitOf(track *media.Track, c *codes, pts time.Duration, signal func(at float64) float64) *media.Unit {
	data := make([]byte, 160)
	for i := range data {
		data[i] = c.of(signal((pts - origin).Seconds() + float64(i)/8000))
	}
	return &media.Unit{
		Track: track, PTS: pts, DTS: pts, Wall: time.Unix(1000, 0).Add(pts), Data: [][]byte{data},
	}
}

func tone(at float64) float64 { return 0.25 * math.Sin(2*math.Pi*1000*at) }

// newTestTranscoder returns a transcoder of a stream with those tracks.
func newTestTranscoder(tb testing.TB, stereo bool, tracks ...*media.Track) *transcoder {
	tb.Helper()
	s := hub.NewStream("cam")
	s.SetTracks(tracks)
	t := &transcoder{stream: s, channels: 1, open: newEncoder}
	if stereo {
		t.channels = 2
	}
	tb.Cleanup(func() {
		t.close()
		s.Close()
	})
	return t
}

func dataOf(frames []frame) (data [][]byte) {
	for _, f := range frames {
		data = append(data, f.data)
	}
	return data
}

// level returns the amplitude of a tone of 48 kHz samples at that frequency,
// and the effective value of everything else.
func level(samples []float64, hz float64) (amplitude, rest float64) {
	var re, im, all float64
	for i, v := range samples {
		re += v * math.Cos(2*math.Pi*hz*float64(i)/rate)
		im += v * math.Sin(2*math.Pi*hz*float64(i)/rate)
		all += v * v
	}
	n := float64(len(samples))
	amplitude = 2 * math.Hypot(re, im) / n
	return amplitude, math.Sqrt(max(0, all/n-amplitude*amplitude/2))
}

func TestToneStaysAsItIs(t *testing.T) {
	for _, stereo := range []bool{false, true} {
		for _, tc := range []struct {
			name  string
			track *media.Track
			table *g711
		}{{"A-law", alaw, newALaw()}, {"μ-law", pcmu, newMuLaw()}} {
			tr := newTestTranscoder(t, stereo, video, tc.track)
			c := newCodes(tc.table)
			var frames []frame
			for i := range 150 {
				frames = tr.step(unitOf(tc.track, c, origin+time.Duration(i)*20*time.Millisecond, tone), frames)
			}
			for i := 1; i < len(frames); i++ {
				if d := media.ToTicks(frames[i].pts, rate) - media.ToTicks(frames[i-1].pts, rate); d != block {
					t.Fatalf("%s: frame %d comes %d ticks after the one before", tc.name, i, d)
				}
			}
			for ch, samples := range decoded(t, dataOf(frames), tr.channels) {
				amplitude, rest := level(samples[rate/2:2*rate+rate/2], 1000)
				if math.Abs(amplitude-0.25) > 0.01 || rest > 0.01 {
					t.Errorf("%s, channel %d of %d: level %.4f, beside it %.4f; want 0.25 and next to nothing",
						tc.name, ch, tr.channels, amplitude, rest)
				}
			}
		}
	}
}

// TestFramesFollowAnyStamps feeds stamps at random.
func TestFramesFollowAnyStamps(t *testing.T) {
	c := newCodes(newMuLaw())
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		tr := newTestTranscoder(t, false, video, pcmu, l16)
		pts := origin
		end, high := time.Duration(0), pts
		for i := range 300 {
			u := unitOf(pcmu, c, pts, tone)
			u.Data[0] = u.Data[0][:r.IntN(161)]
			u.Gap = r.IntN(50) == 0
			high = max(high, pts)
			for _, f := range tr.step(u, nil) {
				if f.pts < end {
					t.Fatalf("seed %d: a frame at %v lies before the end of the last at %v", seed, f.pts, end)
				}
				if f.pts > high+100*time.Millisecond {
					t.Fatalf("seed %d: a frame at %v runs ahead of %v", seed, f.pts, high)
				}
				end = f.pts + 20*time.Millisecond
			}
			if tr.fed > int64(i+2)*(hole.Milliseconds()*rate/1000+1000) || len(tr.queue) >= block {
				t.Fatalf("seed %d: %d samples fed, %d queued", seed, tr.fed, len(tr.queue))
			}
			pts += time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
			if r.IntN(30) == 0 {
				pts += time.Duration(r.IntN(3000)-100) * time.Millisecond
			}
		}
	}
}

func TestL16OfTwoChannelsAt44100Hz(t *testing.T) {
	tr := newTestTranscoder(t, false, l16)
	var frames []frame
	for i := range 100 {
		var data []byte
		for j := range 882 {
			v := int16(8192 * math.Sin(2*math.Pi*440*float64(i*882+j)/44100))
			data = append(data, byte(v>>8), byte(v), byte(v>>8), byte(v))
		}
		pts := origin + time.Duration(i)*20*time.Millisecond
		frames = tr.step(&media.Unit{
			Track: l16, PTS: pts, DTS: pts, Wall: time.Unix(1000, 0).Add(pts), Data: [][]byte{data}, Key: true,
		}, frames)
	}
	checkFrames(t, frames)
	if !frames[0].key {
		t.Error("a stream of audio alone begins nowhere")
	}
	amplitude, rest := level(decoded(t, dataOf(frames), 1)[0][rate/2:rate+rate/2], 440)
	if math.Abs(amplitude-0.25) > 0.01 || rest > 0.01 {
		t.Errorf("level %.4f, beside it %.4f", amplitude, rest)
	}
}

func TestChangeOfCodecInFlight(t *testing.T) {
	tr := newTestTranscoder(t, false, video, pcmu)
	var frames []frame
	for second, law := range []struct {
		track *media.Track
		table *g711
	}{{pcmu, newMuLaw()}, {alaw, newALaw()}} {
		tr.stream.SetTracks([]*media.Track{video, law.track})
		c := newCodes(law.table)
		for i := range 100 {
			pts := origin + time.Duration(100*second+i)*20*time.Millisecond
			frames = tr.step(unitOf(law.track, c, pts, tone), frames)
		}
	}
	for i := 1; i < len(frames); i++ {
		if d := frames[i].pts - frames[i-1].pts; d < 20*time.Millisecond || d > 43*time.Millisecond {
			t.Errorf("frame %d comes %v after the one before", i, d)
		}
	}
	samples := decoded(t, dataOf(frames), 1)[0]
	for _, from := range []int{rate / 2, 2*rate + rate/2} {
		if amplitude, rest := level(samples[from:from+rate], 1000); math.Abs(amplitude-0.25) > 0.01 || rest > 0.02 {
			t.Errorf("from sample %d: level %.4f, beside it %.4f", from, amplitude, rest)
		}
	}
}

func TestMuLawSilenceIsSilence(t *testing.T) {
	for _, tc := range []struct {
		track *media.Track
		code  byte
		most  float64 // the A-law has no zero
	}{{pcmu, 0xff, 0}, {alaw, 0xd5, 1e-3}} {
		tr := newTestTranscoder(t, false, video, tc.track)
		var frames []frame
		for i := range 50 {
			u := unitOf(tc.track, &codes{}, origin+time.Duration(i)*20*time.Millisecond, func(float64) float64 { return 0 })
			for j := range u.Data[0] {
				u.Data[0][j] = tc.code
			}
			frames = tr.step(u, frames)
		}
		for i, v := range decoded(t, dataOf(frames), 1)[0] {
			if math.Abs(v) > tc.most {
				t.Fatalf("%s: sample %d is %g", tc.track.Codec, i, v)
			}
		}
	}
}

func TestAnEncoderThatFailsIsTold(t *testing.T) {
	tr := newTestTranscoder(t, false, video, pcmu)
	tr.open = func(int) (encoder, error) { return nil, fmt.Errorf("no memory") }
	u := unitOf(pcmu, newCodes(newMuLaw()), origin, tone)
	if got := tr.step(u, nil); len(got) != 1 || got[0].err == nil {
		t.Fatalf("got %v", got)
	}
	if got := tr.step(u, nil); len(got) != 0 {
		t.Errorf("it told so twice: %v", got)
	}
}

// BenchmarkTranscode makes AAC of a second of G.711.
func BenchmarkTranscode(b *testing.B) {
	for name, stereo := range map[string]bool{"mono": false, "stereo": true} {
		b.Run(name, func(b *testing.B) {
			tr := newTestTranscoder(b, stereo, video, pcmu)
			c := newCodes(newMuLaw())
			var second [50]*media.Unit
			for i := range second {
				second[i] = unitOf(pcmu, c, origin+time.Duration(i)*20*time.Millisecond, noiseAt)
			}
			b.ReportAllocs()
			var frames []frame
			for n := 0; b.Loop(); n++ {
				for _, u := range second {
					next := *u
					next.PTS += time.Duration(n) * time.Second
					frames = tr.step(&next, frames[:0])
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "×realtime")
		})
	}
}

func noiseAt(at float64) float64 { return noise(int(at * rate)) }
