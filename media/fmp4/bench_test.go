package fmp4_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// partUnits is the number of units in 400 ms of 25 pictures/s and AAC at 48 kHz.
const partUnits = 29

// BenchmarkFragment packages parts of 400 ms.
func BenchmarkFragment(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	units := clip.Units(partUnits)
	bytes := 0
	for _, u := range units {
		bytes += u.Size()
	}
	m := fmp4.NewMuxer(clip.Tracks)
	var bufs [][]byte
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		for _, u := range units {
			m.Add(u)
		}
		bufs, _ = m.Flush(bufs[:0], nil)
	}
	report(b)
}

// BenchmarkFragmentMP4FF does the same with mp4ff.
func BenchmarkFragmentMP4FF(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	units := clip.Units(partUnits)
	size := 0
	for _, u := range units {
		size += u.Size()
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := withMP4FF(&out, units); err != nil {
			b.Fatal(err)
		}
	}
	report(b)
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/partUnits, "ns/unit")
}

func withMP4FF(out *bytes.Buffer, units []*media.Unit) error {
	f, err := mp4.CreateMultiTrackFragment(1, []uint32{1, 2})
	if err != nil {
		return err
	}
	for _, u := range units {
		s := mp4.FullSample{Sample: mp4.Sample{Flags: mp4.SyncSampleFlags, Dur: 1024}}
		scale := 48000
		if u.Track.Kind == media.KindVideo {
			s.Data = codec.AppendAVCC(nil, u.Data)
			s.Dur, scale = 3600, 90000
		} else {
			s.Data = u.Data[0]
		}
		s.Size = uint32(len(s.Data))
		s.DecodeTime = uint64(media.ToTicks(u.DTS, scale))
		if err := f.AddFullSampleToTrack(s, uint32(u.Track.ID+1)); err != nil {
			return err
		}
	}
	return f.Encode(out)
}

func ExampleMuxer() {
	video := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264}
	m := fmp4.NewMuxer([]*media.Track{video})
	m.Add(&media.Unit{Track: video, Key: true, Data: [][]byte{{0x65, 0x88}}})
	bufs, size := m.Flush(nil, nil)
	fmt.Println(len(bufs), "slices,", size, "bytes")
	// Output: 3 slices, 122 bytes
}
