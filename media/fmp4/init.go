package fmp4

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/Eyevinn/mp4ff/mp4"

	"camrelay/media"
)

// videoScale is the time scale of video tracks, ticks per second.
const videoScale = 90000

// Check returns nil if tracks of t's codec can be carried, and else an error
// that names the codec. The track need not be ready.
func Check(t *media.Track) error {
	switch t.Codec {
	case media.CodecH264, media.CodecH265, media.CodecAAC:
		return nil
	case media.CodecOpus:
		if t.Channels > 2 {
			return fmt.Errorf("cannot carry Opus of %d channels", t.Channels)
		}
		return nil
	}
	return fmt.Errorf("cannot carry %s", t.Codec)
}

// Init returns the init segment (ftyp + moov) for tracks, which get the
// track_IDs 1, 2, … in their order. The same tracks give the same bytes. All
// tracks must be carried (Check) and ready.
//
// Specification: ISO 14496-12 §8, ISO 14496-15 §5.4 and §8.4 (avc1, hvc1),
// ISO 14496-14 §5.6 (mp4a), Opus in ISOBMFF §4.3.
func Init(tracks []*media.Track) ([]byte, error) {
	seg := mp4.CreateEmptyInit()
	for _, t := range tracks {
		if err := addTrack(seg, t); err != nil {
			return nil, err
		}
	}
	// mp4ff puts mvex before the tracks that it extends; readers of the usual
	// files find it behind them.
	moov := seg.Moov
	moov.Children = slices.DeleteFunc(moov.Children, func(b mp4.Box) bool { return b == mp4.Box(moov.Mvex) })
	moov.Children = append(moov.Children, moov.Mvex)
	var b bytes.Buffer
	if err := seg.Encode(&b); err != nil {
		return nil, fmt.Errorf("cannot write init segment: %w", err)
	}
	return b.Bytes(), nil
}

// addTrack adds t to seg. mp4ff parses parameter sets, which come from the
// camera, so a panic in there is an error like any other.
func addTrack(seg *mp4.InitSegment, t *media.Track) (err error) {
	if err := Check(t); err != nil {
		return err
	}
	if !t.Ready() {
		return fmt.Errorf("cannot describe %s track: its parameters are not known", t.Codec)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot describe %s track: %v", t.Codec, r)
		}
	}()
	kind := "video"
	if t.Kind == media.KindAudio {
		kind = "audio"
	}
	trak := seg.AddEmptyTrack(uint32(scale(t)), kind, "und")
	entry, err := sampleEntry(t)
	if err != nil {
		return fmt.Errorf("cannot describe %s track: %w", t.Codec, err)
	}
	if v, ok := entry.(*mp4.VisualSampleEntryBox); ok {
		trak.Tkhd.Width = mp4.Fixed32(uint32(v.Width) << 16)
		trak.Tkhd.Height = mp4.Fixed32(uint32(v.Height) << 16)
	}
	trak.Mdia.Minf.Stbl.Stsd.AddChild(entry)
	return nil
}

// Scale returns the time scale that t has in init segments and fragments, ticks
// per second.
func Scale(t *media.Track) int { return scale(t) }

// scale is Scale.
func scale(t *media.Track) int {
	switch {
	case t.Kind == media.KindVideo:
		return videoScale
	case t.SampleRate > 0:
		return t.SampleRate
	default:
		return t.ClockRate
	}
}

// sampleEntry returns the box that describes the samples of t.
func sampleEntry(t *media.Track) (mp4.Box, error) {
	sps, pps := [][]byte{t.SPS}, [][]byte{t.PPS}
	switch t.Codec {
	case media.CodecH264:
		avcC, err := mp4.CreateAvcC(sps, pps, true)
		if err != nil {
			return nil, err
		}
		return mp4.CreateVisualSampleEntryBox("avc1", uint16(t.Width), uint16(t.Height), avcC), nil
	case media.CodecH265:
		hvcC, err := mp4.CreateHvcC([][]byte{t.VPS}, sps, pps, true, true, true, true)
		if err != nil {
			return nil, err
		}
		return mp4.CreateVisualSampleEntryBox("hvc1", uint16(t.Width), uint16(t.Height), hvcC), nil
	case media.CodecAAC:
		return audioEntry("mp4a", t, mp4.CreateEsdsBox(t.AudioConfig)), nil
	case media.CodecOpus:
		// Pre-skip is a property of files: what a live stream begins with is
		// not the encoder's beginning.
		return audioEntry("Opus", t, &mp4.DopsBox{
			OutputChannelCount: uint8(channels(t)),
			InputSampleRate:    uint32(scale(t)),
		}), nil
	}
	return nil, errors.New("no sample entry")
}

func audioEntry(name string, t *media.Track, child mp4.Box) mp4.Box {
	rate := scale(t)
	if rate > 0xffff {
		rate = 0 // 16.16 cannot hold 88200 and 96000; the esds tells
	}
	return mp4.CreateAudioSampleEntryBox(name, uint16(channels(t)), 16, uint16(rate), child)
}

func channels(t *media.Track) int {
	if t.Channels > 0 {
		return t.Channels
	}
	return 2
}
