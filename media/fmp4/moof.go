package fmp4

import (
	"encoding/binary"

	"camrelay/media"
)

// Flags of tfhd, trun and of samples (ISO 14496-12 §8.8.7, §8.8.8, §8.8.3.1).
const (
	tfhdDefaultFlags = 0x000020
	tfhdBaseIsMoof   = 0x020000

	trunDataOffset = 0x001
	trunDuration   = 0x100
	trunSize       = 0x200
	trunFlags      = 0x400
	trunOffset     = 0x800

	sampleSync    = 0x02000000 // depends on no other
	sampleNonSync = 0x01010000 // depends on others, is no sync sample
)

const (
	boxHeader  = 8
	tfhdSize   = 20 // with default sample flags
	tfdtSize   = 20 // version 1
	trunHeader = 20 // with data offset
	audioTrun  = 8  // of trun: duration, size
	videoTrun  = 16 // and flags, composition offset
)

// appendHeader writes the moof of the pending samples and the header of their
// mdat to m.header. Samples of one track are contiguous in the mdat, tracks
// follow one another.
func (m *Muxer) appendHeader(next *media.Unit) {
	b := m.header[:0]
	b = binary.BigEndian.AppendUint32(b, 0) // size of moof, patched below
	b = append(b, "moof"...)
	b = appendFull(b, 16, "mfhd", 0, 0)
	b = binary.BigEndian.AppendUint32(b, m.number)
	var offsets [2]int // of the data offsets, to be patched
	at := offsets[:0]
	for i := range m.tracks {
		t := &m.tracks[i]
		if len(t.samples) == 0 {
			at = append(at, 0)
			continue
		}
		last := t.samples[len(t.samples)-1].dts + t.frame
		if next != nil && next.Track.ID == t.media.ID {
			last = media.ToTicks(next.DTS+m.Shift, t.scale)
		}
		var offset int
		b, offset = t.appendTraf(b, uint32(i+1), last)
		at = append(at, offset)
	}
	moof := len(b)
	binary.BigEndian.PutUint32(b, uint32(moof))
	data := moof + boxHeader
	for i := range m.tracks {
		if at[i] > 0 {
			binary.BigEndian.PutUint32(b[at[i]:], uint32(data))
		}
		data += m.tracks[i].bytes
	}
	b = binary.BigEndian.AppendUint32(b, uint32(data-moof))
	m.header = append(b, "mdat"...)
}

// appendTraf appends the traf of the pending samples, of which the last ends
// at end, and returns where its data offset is to be patched.
func (t *track) appendTraf(b []byte, id uint32, end int64) (_ []byte, offset int) {
	flags, entry := uint32(trunDataOffset|trunDuration|trunSize), audioTrun
	usual := uint32(sampleSync)
	if t.media.Kind == media.KindVideo {
		flags, entry, usual = flags|trunFlags|trunOffset, videoTrun, sampleNonSync
	}
	trun := trunHeader + entry*len(t.samples)

	b = binary.BigEndian.AppendUint32(b, uint32(boxHeader+tfhdSize+tfdtSize+trun))
	b = append(b, "traf"...)
	b = appendFull(b, tfhdSize, "tfhd", 0, tfhdDefaultFlags|tfhdBaseIsMoof)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, usual)
	b = appendFull(b, tfdtSize, "tfdt", 1, 0)
	dts := t.samples[0].dts
	b = binary.BigEndian.AppendUint64(b, uint64(dts))
	b = appendFull(b, trun, "trun", 1, flags) // version 1: signed composition offsets
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.samples)))
	offset = len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	for i, s := range t.samples {
		following := end
		if i+1 < len(t.samples) {
			following = t.samples[i+1].dts
		}
		// Units may share a DTS, samples may not: what one is given too much,
		// the next ones get less, and the offset keeps the PTS true.
		d := max(1, following-dts)
		b = binary.BigEndian.AppendUint32(b, uint32(d))
		b = binary.BigEndian.AppendUint32(b, s.size)
		if flags&trunFlags != 0 {
			kind := uint32(sampleNonSync)
			if s.key {
				kind = sampleSync
			}
			b = binary.BigEndian.AppendUint32(b, kind)
			b = binary.BigEndian.AppendUint32(b, uint32(int32(s.pts-dts)))
		}
		t.end = max(t.end, s.pts+d)
		dts += d
	}
	return b, offset
}

// appendFull appends the header of a full box of that size in all.
func appendFull(b []byte, size int, name string, version byte, flags uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, name...)
	return binary.BigEndian.AppendUint32(b, uint32(version)<<24|flags)
}
