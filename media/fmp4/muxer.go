package fmp4

import (
	"encoding/binary"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// Muxer gathers units and hands them out as fragments. Fragments of one Muxer
// are numbered from 1 and fit the init segment of the same tracks.
type Muxer struct {
	// Shift is added to all times, which must not become negative. What is pending
	// when it is set keeps the times it has.
	Shift time.Duration

	tracks []track
	number uint32 // of the last fragment

	header   []byte // moof and header of mdat
	prefixes []byte // lengths of NAL units
}

// track is the pending run of samples of one track.
type track struct {
	media   *media.Track
	scale   int
	samples []sample
	data    [][]byte // all samples: length prefixes and NAL units, or audio frames
	bytes   int      // in data
	frame   int64    // usual duration of a sample, ticks
	newest  int64    // DTS of the last sample, valid if any
	any     bool     // there was a sample
	end     int64    // when the last sample of all fragments has been shown, ticks
	guessed bool     // nothing is known of frame
}

type sample struct {
	dts, pts int64 // ticks
	size     uint32
	key      bool
}

// NewMuxer returns a Muxer for tracks, which get the track_IDs 1, 2, …
func NewMuxer(tracks []*media.Track) *Muxer {
	m := &Muxer{tracks: make([]track, len(tracks))}
	for i, t := range tracks {
		m.tracks[i] = track{media: t, scale: scale(t), frame: frame(t)}
		m.tracks[i].guessed = t.Kind == media.KindVideo && t.FrameRate <= 0
	}
	return m
}

// frame returns the duration of a sample of t, in ticks, as far as t tells.
func frame(t *media.Track) int64 {
	switch {
	case t.Codec == media.CodecAAC:
		if a, err := codec.ParseAudio(t.AudioConfig); err == nil {
			return int64(a.Samples)
		}
		return 1024
	case t.Kind == media.KindVideo && t.FrameRate > 0:
		return max(1, int64(videoScale/t.FrameRate))
	case t.Kind == media.KindVideo:
		return videoScale / 25
	default:
		return int64(scale(t) / 50)
	}
}

// Add appends u to the pending fragment and tells whether it did: units of
// other tracks (by Track.ID) and units without content are left out. u.Data is
// shared until the fragment has been flushed and written.
//
// Of video only slices and what belongs to them is kept: avc1 and hvc1 have
// their parameter sets in the init segment (ISO 14496-15 §5.4.2.1), delimiters
// and filler have no use in a sample.
func (m *Muxer) Add(u *media.Unit) bool {
	t := m.track(u.Track.ID)
	if t == nil {
		return false
	}
	size := 0
	if t.media.Kind == media.KindVideo {
		size = m.addNALs(t, u.Data)
	} else {
		for _, d := range u.Data {
			t.data = append(t.data, d)
			size += len(d)
		}
	}
	if size == 0 {
		return false
	}
	s := sample{
		dts: media.ToTicks(u.DTS+m.Shift, t.scale), pts: media.ToTicks(u.PTS+m.Shift, t.scale),
		size: uint32(size), key: u.Key || t.media.Kind == media.KindAudio,
	}
	if t.any {
		t.learn(s.dts - t.newest)
	}
	t.newest, t.any = s.dts, true
	t.samples = append(t.samples, s)
	t.bytes += size
	return true
}

func (m *Muxer) track(id int) *track {
	for i := range m.tracks {
		if m.tracks[i].media.ID == id {
			return &m.tracks[i]
		}
	}
	return nil
}

func (m *Muxer) addNALs(t *track, nals [][]byte) int {
	size := 0
	for _, n := range nals {
		switch codec.ClassOf(t.media.Codec, n) {
		case codec.Slice, codec.Prefix, codec.Suffix:
		default:
			continue
		}
		at := len(m.prefixes)
		m.prefixes = binary.BigEndian.AppendUint32(m.prefixes, uint32(len(n)))
		t.data = append(t.data, m.prefixes[at:at+4:at+4], n)
		size += 4 + len(n)
	}
	return size
}

// learn follows the usual distance of samples; a stall counts as two frames.
func (t *track) learn(d int64) {
	if d <= 0 {
		return
	}
	if t.guessed {
		t.guessed, t.frame = false, d
		return
	}
	d = min(max(d, t.frame/2), 2*t.frame)
	if step := (d - t.frame) / 2; step != 0 {
		t.frame += step
	} else {
		t.frame = max(1, d)
	}
}

// Frame returns the usual duration of a unit of the track with that ID.
func (m *Muxer) Frame(id int) time.Duration {
	if t := m.track(id); t != nil {
		return media.ToDuration(t.frame, t.scale)
	}
	return 0
}

// End returns when the last sample of all tracks has been shown, of all fragments so
// far, with the Shift that each had.
func (m *Muxer) End() (end time.Duration) {
	for i := range m.tracks {
		end = max(end, media.ToDuration(m.tracks[i].end, m.tracks[i].scale))
	}
	return end
}

// Size returns the bytes of media pending; 0 if there is nothing to flush.
func (m *Muxer) Size() int {
	n := 0
	for i := range m.tracks {
		n += m.tracks[i].bytes
	}
	return n
}

// SizeOf returns the bytes of the pending fragment as it would be with nothing
// but the track of that ID; 0 if there is nothing of it.
func (m *Muxer) SizeOf(id int) int {
	t := m.track(id)
	if t == nil || len(t.samples) == 0 {
		return 0
	}
	entry := audioTrun
	if t.media.Kind == media.KindVideo {
		entry = videoTrun
	}
	return boxHeader + mfhdSize + boxHeader + tfhdSize + tfdtSize + trunHeader + entry*len(t.samples) + boxHeader + t.bytes
}

// Flush appends the pending fragment to dst, in the order in which its bytes
// are to be written, and returns the longer list and the size of the fragment.
// Without pending samples it adds nothing. next, if not nil, is the unit that
// follows: its time tells how long the last sample of its track lasts, where
// the usual duration is taken otherwise.
//
// The slices are valid until the next call of Add.
func (m *Muxer) Flush(dst [][]byte, next *media.Unit) (bufs [][]byte, size int) {
	if m.Size() == 0 {
		return dst, 0
	}
	m.number++
	m.appendHeader(next)
	dst = append(dst, m.header)
	size = len(m.header)
	for i := range m.tracks {
		t := &m.tracks[i]
		dst = append(dst, t.data...)
		size += t.bytes
		clear(t.data)
		t.data, t.samples, t.bytes = t.data[:0], t.samples[:0], 0
	}
	m.prefixes = m.prefixes[:0]
	return dst, size
}
