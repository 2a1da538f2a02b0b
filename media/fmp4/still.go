package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"camrelay/media"
)

// stillLength is how long the picture of Still lasts.
const stillLength = time.Second

// Still returns a key picture as an MP4 file of one sample that lasts a second.
// It is not fragmented, so that everything that shows video shows it. The track
// must be carried (Check) and ready, as with Init; u is copied.
//
// Specification: ISO 14496-12 §8.
func Still(u *media.Unit) ([]byte, error) {
	m := NewMuxer([]*media.Track{u.Track})
	if u.Track.Kind != media.KindVideo || !m.Add(u) {
		return nil, errors.New("cannot write a still: there is no picture")
	}
	seg := mp4.CreateEmptyInit()
	if err := addTrack(seg, u.Track); err != nil {
		return nil, err
	}
	size := m.tracks[0].bytes
	moov := mp4.NewMoovBox()
	moov.AddChild(seg.Moov.Mvhd)
	moov.AddChild(seg.Moov.Trak)
	describeStill(moov, uint32(size))
	ftyp := mp4.NewFtyp("isom", 0x200, []string{"isom", "iso2", "mp41"})
	offset := ftyp.Size() + moov.Size() + boxHeader
	moov.Trak.Mdia.Minf.Stbl.Stco.ChunkOffset = []uint32{uint32(offset)}
	var b bytes.Buffer
	for _, box := range []mp4.Box{ftyp, moov} {
		if err := box.Encode(&b); err != nil {
			return nil, fmt.Errorf("cannot write a still: %w", err)
		}
	}
	out := make([]byte, 0, b.Len()+boxHeader+size)
	out = append(out, b.Bytes()...)
	out = binary.BigEndian.AppendUint32(out, uint32(boxHeader+size))
	out = append(out, "mdat"...)
	for _, d := range m.tracks[0].data {
		out = append(out, d...)
	}
	return out, nil
}

// describeStill fills in the sample table of one sample and the durations.
func describeStill(moov *mp4.MoovBox, size uint32) {
	const ms = 1000
	trak := moov.Trak
	moov.Mvhd.Timescale, moov.Mvhd.Duration = ms, uint64(stillLength/time.Millisecond)
	trak.Tkhd.Duration = moov.Mvhd.Duration
	trak.Mdia.Mdhd.Duration = uint64(media.ToTicks(stillLength, videoScale))
	table := trak.Mdia.Minf.Stbl
	table.Stts.SampleCount = []uint32{1}
	table.Stts.SampleTimeDelta = []uint32{uint32(trak.Mdia.Mdhd.Duration)}
	table.Stsz.SampleUniformSize, table.Stsz.SampleNumber = size, 1
	table.Stsc.Entries = []mp4.StscEntry{{FirstChunk: 1, SamplesPerChunk: 1}}
	table.Stsc.SetSingleSampleDescriptionID(1)
	table.Stco.ChunkOffset = []uint32{0}
}
