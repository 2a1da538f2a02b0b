package audio

import (
	"fmt"
	"math"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// What is made.
const (
	rate          = 48000 // Hz
	block         = 1024  // samples of a frame
	monoBitrate   = 64000 // bit/s
	stereoBitrate = 96000
	// encoderDelay is how many samples what a decoder gives out lags behind
	// what the encoder was given.
	encoderDelay = 1600
)

// Bounds of how what is made follows the stamps of what it is made of.
const (
	// jump is the least distance that is closed at once, by leaving out samples
	// or by silence; below it sound is stretched.
	jump = 30 * time.Millisecond
	// hole is the most silence that is put in; after more everything begins anew.
	hole = time.Second
	// tolerated is the distance, in samples, that is left alone.
	tolerated = 2 * rate / 1000
	// fading is how many samples sound takes to come and go beside silence.
	fading = 2 * rate / 1000
)

// encoder makes frames of AAC-LC. It belongs to one goroutine.
type encoder interface {
	// encode returns the frame of the next block of samples, the channels of
	// each beside one another. The frame is the caller's.
	encode(samples []int16) ([]byte, error)
	close()
}

// decoder turns coded frames into samples of 16 bits, of all channels.
type decoder interface {
	decode(out []float32, frame []byte) []float32
}

// frame is a frame of AAC on the stream's time line; or the reason why there
// will be none.
type frame struct {
	pts  time.Duration
	wall time.Time
	data []byte
	key  bool
	gap  bool
	err  error
}

// format is what a decoder is made for.
type format struct {
	codec          media.Codec
	rate, channels int
}

func formatOf(t *media.Track) format {
	f := format{t.Codec, t.SampleRate, max(1, t.Channels)}
	switch {
	case t.Codec == media.CodecG722:
		f.rate, f.channels = 16000, 1
	case f.rate == 0:
		f.rate = t.ClockRate
	}
	return f
}

// rates are those that can be turned into 48 kHz.
var rates = [...]int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}

// decodable returns why a track cannot be decoded, empty if it can.
func decodable(t *media.Track) string {
	switch t.Codec {
	case media.CodecPCMA, media.CodecPCMU, media.CodecG722, media.CodecL16:
	default:
		return nameOf(t) + " cannot be decoded"
	}
	if f := formatOf(t); !slices.Contains(rates[:], f.rate) {
		return fmt.Sprintf("%s of %d Hz cannot be decoded", nameOf(t), f.rate)
	}
	return ""
}

func newDecoder(f format) decoder {
	switch f.codec {
	case media.CodecPCMA:
		return newALaw()
	case media.CodecPCMU:
		return newMuLaw()
	case media.CodecG722:
		return newG722()
	}
	return linear{}
}

// transcoder makes AAC of the first decodable track of a stream. Its frames
// follow the stamps of their source: a difference that grows slowly is taken
// up by stretching the sound, a hole is filled, and at a gap everything begins
// anew. It belongs to one goroutine.
type transcoder struct {
	stream   *hub.Stream
	channels int
	open     func(channels int) (encoder, error)

	seen   *media.Track // by takes
	taken  bool         // its answer for seen
	format format
	dec    decoder
	low    *resampler
	enc    encoder
	failed bool

	base    time.Duration // stream time of the first sample since everything began
	fed     int64         // samples of 48 kHz since then
	blocks  int64         // encoded since then
	skew    float64       // samples by which the source's stamps lead, smoothed
	end     time.Duration // of the last frame given out
	gap     bool          // the next frame is the first after a gap
	last    float32       // the newest sample
	fade    int           // samples that are still to rise from silence
	in, mix []float32
	wave    []float32
	queue   []float32 // not encoded yet
	pcm     []int16
}

// recipe returns how the frames of a stream are made, once for all its views.
func recipe(s *hub.Stream, stereo bool, open func(channels int) (encoder, error)) hub.Recipe[frame] {
	t := &transcoder{stream: s, channels: 1, open: open}
	if stereo {
		t.channels = 2
	}
	return hub.Recipe[frame]{
		Name:   fmt.Sprintf("audio aac %d", t.channels),
		Limits: hub.Limits{Entries: 1 << 10, Bytes: 1 << 20, Keep: memory, Lead: memory},
		Size:   func(f frame) int { return len(f.data) },
		Start:  func(frame) bool { return true },
		New:    func() func(*media.Unit, []frame) []frame { return t.step },
		Close:  t.close,
	}
}

// memory is how much of what was made is there for a view that begins late:
// that of a long group of pictures.
const memory = 12 * time.Second

func (t *transcoder) close() {
	if t.enc != nil {
		t.enc.close()
		t.enc = nil
	}
}

// step takes one unit of the stream and appends the frames that it completes.
func (t *transcoder) step(u *media.Unit, out []frame) []frame {
	if u.Track.Kind != media.KindAudio || t.failed || len(u.Data) == 0 || !t.takes(u.Track) {
		return out
	}
	off := u.PTS - t.at(t.fed)
	if f := formatOf(u.Track); t.enc == nil || f != t.format || u.Gap || off > hole || off < -hole {
		out = t.drain(u, off, out)
		if err := t.begin(u, f); err != nil {
			t.failed = true
			return append(out, frame{err: err})
		}
		off = 0
	}
	if off > jump {
		t.low.forget()
	}
	t.in = t.dec.decode(t.in[:0], u.Data[0])
	t.wave = t.low.feed(t.wave[:0], t.mono(t.in))
	return t.follow(u, off, out)
}

// takes tells whether a track is the one that is transcoded.
func (t *transcoder) takes(track *media.Track) bool {
	if track != t.seen {
		tracks, _ := t.stream.Tracks()
		i := slices.IndexFunc(tracks, func(o *media.Track) bool {
			return o.Kind == media.KindAudio && decodable(o) == ""
		})
		t.seen, t.taken = track, i >= 0 && tracks[i].ID == track.ID && decodable(track) == ""
	}
	return t.taken
}

// at returns the stream time of a sample.
func (t *transcoder) at(sample int64) time.Duration { return t.base + media.ToDuration(sample, rate) }

// begin makes everything new for a source that begins with u.
func (t *transcoder) begin(u *media.Unit, f format) (err error) {
	t.close()
	if t.enc, err = t.open(t.channels); err != nil {
		return err
	}
	t.format, t.dec, t.low = f, newDecoder(f), newResampler(f.rate)
	t.base, t.fed, t.blocks, t.skew = u.PTS, 0, 0, 0
	t.queue, t.gap = t.queue[:0], u.Gap
	t.last, t.fade = 0, fading
	return nil
}

// drain gives out the last sounds before a hole.
func (t *transcoder) drain(u *media.Unit, off time.Duration, out []frame) []frame {
	if t.enc == nil || off < jump {
		return out
	}
	t.gap = false
	end := t.blocks*block + int64(len(t.queue)) + encoderDelay
	for t.blocks*block < end && !t.failed {
		out = t.push(u, make([]float32, block), out)
	}
	return out
}

// mono returns the mean of the channels.
func (t *transcoder) mono(in []float32) []float32 {
	n := t.format.channels
	if n == 1 {
		return in
	}
	t.mix = t.mix[:0]
	for ; len(in) >= n; in = in[n:] {
		sum := float32(0)
		for _, v := range in[:n] {
			sum += v
		}
		t.mix = append(t.mix, sum/float32(n))
	}
	return t.mix
}

// follow brings t.wave, the sound of u, to where u is stamped, which is off
// after what is there already.
func (t *transcoder) follow(u *media.Unit, off time.Duration, out []frame) []frame {
	wave, distance := t.wave, float64(media.ToTicks(off, rate))
	switch {
	case off > jump:
		out = t.push(u, t.fadeOut(int(distance)), out)
		t.skew, t.fade = 0, fading
	case off < -jump:
		wave = wave[min(len(wave), int(-distance)):]
		t.skew, t.fade = 0, fading
	default:
		t.skew += (distance - t.skew) / 8
		if math.Abs(t.skew) > tolerated {
			most := float64(len(wave) / 20)
			n := math.Trunc(min(max(t.skew/32, -most), most))
			wave = stretch(nil, wave, int(n))
			t.skew -= n
		}
	}
	for i := 0; i < len(wave) && t.fade > 0; i++ {
		wave[i] *= 1 - float32(t.fade)/fading
		t.fade--
	}
	return t.push(u, wave, out)
}

// fadeOut returns n samples of silence after the last sound.
func (t *transcoder) fadeOut(n int) []float32 {
	quiet := make([]float32, n)
	for i := range min(n, fading) {
		quiet[i] = t.last * (1 - float32(i+1)/fading)
	}
	return quiet
}

// push takes samples that follow those before, and appends what is complete.
func (t *transcoder) push(u *media.Unit, wave []float32, out []frame) []frame {
	if len(wave) > 0 {
		t.last = wave[len(wave)-1]
	}
	t.fed += int64(len(wave))
	t.queue = append(t.queue, wave...)
	done := 0
	for ; len(t.queue)-done >= block && !t.failed; done += block {
		out = t.encode(u, t.queue[done:done+block], out)
	}
	t.queue = t.queue[:copy(t.queue, t.queue[done:])]
	return out
}

// encode encodes one block. A frame that lies before the end of the last one
// is left out.
func (t *transcoder) encode(u *media.Unit, wave []float32, out []frame) []frame {
	t.pcm = t.pcm[:0]
	for _, v := range wave {
		s := int16(min(max(math.Floor(float64(v)+0.5), math.MinInt16), math.MaxInt16))
		for range t.channels {
			t.pcm = append(t.pcm, s)
		}
	}
	data, err := t.enc.encode(t.pcm)
	if err != nil {
		t.failed = true
		return append(out, frame{err: err})
	}
	pts := t.at(t.blocks*block - encoderDelay - t.low.delay)
	t.blocks++
	if pts < t.end-time.Millisecond {
		return out
	}
	out = append(out, frame{pts: pts, wall: u.Wall.Add(pts - u.PTS), data: data, key: u.Key, gap: t.gap})
	t.gap, t.end = false, pts+media.ToDuration(block, rate)
	return out
}
