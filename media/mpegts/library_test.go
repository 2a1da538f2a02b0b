package mpegts_test

import (
	"bytes"
	"testing"
	"time"

	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/mediatest"
	"camrelay/media/mpegts"
)

// library is gomedia's muxer behind the same face.
type library struct {
	mux  *mpeg2.TSMuxer
	pids []uint16
	out  []byte
	buf  []byte
}

func newLibrary(tracks []*media.Track) *library {
	l := &library{mux: mpeg2.NewTSMuxer()}
	l.mux.OnPacket = func(b []byte) { l.out = append(l.out, b...) }
	for _, t := range tracks {
		id := mpeg2.TS_STREAM_H264
		if t.Kind == media.KindAudio {
			id = mpeg2.TS_STREAM_AAC
		}
		l.pids = append(l.pids, l.mux.AddStream(id))
	}
	return l
}

func (l *library) write(tb testing.TB, u *media.Unit) {
	l.buf = l.buf[:0]
	if u.Track.Kind == media.KindVideo {
		if u.Key {
			l.buf = codec.AppendAnnexB(l.buf, [][]byte{u.Track.SPS, u.Track.PPS})
		}
		l.buf = codec.AppendAnnexB(l.buf, u.Data)
	} else {
		n := len(u.Data[0]) + 7
		l.buf = append(l.buf, 0xff, 0xf1, 0x4c, 0x80|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc)
		l.buf = append(l.buf, u.Data[0]...)
	}
	pts, dts := uint64(u.PTS.Milliseconds()), uint64(u.DTS.Milliseconds())
	if err := l.mux.Write(l.pids[u.Track.ID], l.buf, pts, dts); err != nil {
		tb.Fatal(err)
	}
}

// TestTheLibraryMovesFrames is why this package has a muxer of its own.
func TestTheLibraryMovesFrames(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := clip.Until(4 * time.Second)
	lib := newLibrary(clip.Tracks)
	for _, u := range units {
		lib.write(t, u)
	}
	theirs := stepsOfAudio(t, lib.out)
	ours := stepsOfAudio(t, mux(t, clip.Tracks, units))
	if len(ours) != 1 || !ours[1920] { // 1024 samples at 48 kHz
		t.Errorf("our audio frames are %v ticks apart", ours)
	}
	if len(theirs) == 1 {
		t.Error("gomedia keeps ticks now: its muxer could be used")
	}
	t.Logf("gomedia's audio frames are %v ticks apart, ours %v", theirs, ours)
}

func stepsOfAudio(t *testing.T, ts []byte) map[int64]bool {
	t.Helper()
	steps, last := map[int64]bool{}, int64(-1)
	for ; len(ts) > 0; ts = ts[188:] {
		p, err := readPacket(ts[:188])
		if err != nil {
			t.Fatal(err)
		}
		if !p.start || p.pid == 0 || !bytes.HasPrefix(p.payload, []byte{0, 0, 1, 0xc0}) {
			continue
		}
		u, err := readPES(p)
		if err != nil {
			t.Fatal(err)
		}
		if last >= 0 {
			steps[u.pts-last] = true
		}
		last = u.pts
	}
	return steps
}

// TestTheLibraryReadsWhatWeWrite: another demultiplexer than FFmpeg's finds all
// bytes; it leaves delimiters out.
func TestTheLibraryReadsWhatWeWrite(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	var video, audio, want []byte
	frames := 0
	units := clip.Until(4 * time.Second)
	for _, u := range units {
		if u.Track.Kind == media.KindAudio {
			frames++
			continue
		}
		want = codec.AppendAnnexB(want, u.Data)
	}
	d := mpeg2.NewTSDemuxer()
	d.OnFrame = func(id mpeg2.TS_STREAM_TYPE, frame []byte, _, _ uint64) {
		if id == mpeg2.TS_STREAM_H264 {
			video = append(video, frame...)
		} else {
			audio = append(audio, frame...)
		}
	}
	if err := d.Input(bytes.NewReader(mux(t, clip.Tracks, units))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(video, want) {
		t.Errorf("%d bytes of video, want %d", len(video), len(want))
	}
	got := 0
	for ; len(audio) >= 7; got++ {
		audio = audio[min(len(audio), int(audio[3]&3)<<11|int(audio[4])<<3|int(audio[5])>>5):]
	}
	if got != frames {
		t.Errorf("%d frames of audio, want %d", got, frames)
	}
}

// pictures are units as a camera of 4 Mbit/s sends them, with audio.
func pictures(clip *mediatest.Clip) (units []*media.Unit, size int) {
	slice := nal(20000, 0x41, 0x9a)
	for _, u := range clip.Until(2 * time.Second) {
		if u.Track.Kind == media.KindVideo {
			u.Data = [][]byte{slice}
		}
		units = append(units, u)
		size += u.Size()
	}
	return units, size
}

// BenchmarkChunks muxes 2 s of a camera of 4 Mbit/s per op.
func BenchmarkChunks(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	units, size := pictures(clip)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	m := mpegts.New(clip.Tracks)
	var chunks []mpegts.Chunk
	for b.Loop() {
		for _, u := range units {
			chunks = m.Chunks(u, chunks[:0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
	b.ReportMetric(float64(len(units)), "units/op")
}

// BenchmarkLibrary is the same with gomedia's muxer.
func BenchmarkLibrary(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	units, size := pictures(clip)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	lib := newLibrary(clip.Tracks)
	for b.Loop() {
		for _, u := range units {
			lib.out = lib.out[:0]
			lib.write(b, u)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
}
