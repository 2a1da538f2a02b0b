package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errBoxes says that bytes are not fragments as a Muxer writes them.
var errBoxes = errors.New("the boxes are not those of a fragment")

// Extractor takes one track out of fragments of several. What it makes fits the
// init segment of that track alone, where it has the track_ID 1. The zero value
// is ready; it keeps its memory from call to call.
type Extractor struct {
	// Earlier is taken off all times, in ticks of the track (Scale). It is an
	// error where a time would become negative.
	Earlier int64

	head []byte
}

// Append appends to dst the samples of a track, by its track_ID in the
// fragments, that lie in size bytes of r from offset on: whole fragments as a
// Muxer has written them. A fragment without that track gives nothing. Of the
// media only the bytes of the track are read.
func (e *Extractor) Append(dst []byte, r io.ReaderAt, offset, size int64, track uint32) ([]byte, error) {
	for end := offset + size; offset < end; {
		moof, mdat, err := e.read(r, offset, end)
		if err != nil {
			return dst, err
		}
		if dst, err = e.appendFragment(dst, r, offset, moof, mdat, track); err != nil {
			return dst, err
		}
		offset += int64(len(moof)) + mdat
	}
	return dst, nil
}

// usualHead is enough for the moof of a part and the header behind it.
const usualHead = 2048

// maxHead bounds the moof that is believed.
const maxHead = 1 << 20

// read returns the moof at offset, valid until the next call, and the size of
// the mdat that follows, with its header.
func (e *Extractor) read(r io.ReaderAt, offset, end int64) (moof []byte, mdat int64, err error) {
	for want := min(usualHead, end-offset); ; {
		if int64(cap(e.head)) < want {
			e.head = make([]byte, want)
		}
		b := e.head[:want]
		if n, err := r.ReadAt(b, offset); n < len(b) {
			return nil, 0, fmt.Errorf("cannot read fragment: %w", err)
		}
		moof, rest, ok := box(b, "moof")
		switch {
		case ok && len(rest) >= boxHeader:
			mdat = int64(binary.BigEndian.Uint32(rest))
			if string(rest[4:8]) != "mdat" || mdat < boxHeader || mdat > end-offset-int64(len(moof)) {
				return nil, 0, errBoxes
			}
			return moof, mdat, nil
		case len(b) < boxHeader || string(b[4:8]) != "moof":
			return nil, 0, errBoxes
		}
		need := int64(binary.BigEndian.Uint32(b)) + boxHeader
		if need <= want || need > min(maxHead, end-offset) {
			return nil, 0, errBoxes
		}
		want = need
	}
}

// box takes the box of that name off the front of b, header and all. It tells
// false unless b begins with a whole one.
func box(b []byte, name string) (whole, rest []byte, ok bool) {
	if len(b) < boxHeader || string(b[4:8]) != name {
		return nil, b, false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n < boxHeader || n > int64(len(b)) {
		return nil, b, false
	}
	return b[:n], b[n:], true
}

// Offsets in the boxes that a Muxer writes.
const (
	mfhdSize  = 16
	trackAt   = boxHeader + 4 // in tfhd
	dataAt    = 16            // in trun: its data offset
	entriesAt = trunHeader    // in trun
	minTraf   = boxHeader + tfhdSize + tfdtSize + trunHeader
)

// appendFragment appends what moof, which lies at offset and describes mdat
// bytes behind it, has of a track.
func (e *Extractor) appendFragment(
	dst []byte, r io.ReaderAt, offset int64, moof []byte, mdat int64, track uint32,
) ([]byte, error) {
	mfhd, rest, ok := box(moof[boxHeader:], "mfhd")
	if !ok || len(mfhd) != mfhdSize {
		return dst, errBoxes
	}
	for len(rest) > 0 {
		var traf []byte
		if traf, rest, ok = box(rest, "traf"); !ok || len(traf) < minTraf {
			return dst, errBoxes
		}
		if binary.BigEndian.Uint32(traf[boxHeader+trackAt:]) != track {
			continue
		}
		data, size, err := samples(traf)
		if err != nil || data < int64(len(moof))+boxHeader || data+size > int64(len(moof))+mdat {
			return dst, errBoxes
		}
		begin := len(dst)
		dst = appendHead(dst, mfhd, traf, size)
		if !earlier(dst[begin:], e.Earlier) {
			return dst[:begin], errBoxes
		}
		at := len(dst)
		dst = append(dst, make([]byte, size)...)
		if n, err := r.ReadAt(dst[at:], offset+data); int64(n) < size {
			return dst[:begin], fmt.Errorf("cannot read samples: %w", err)
		}
		return dst, nil
	}
	return dst, nil
}

// appendHead appends a moof of that traf alone and the header of its mdat.
func appendHead(dst, mfhd, traf []byte, size int64) []byte {
	moof := boxHeader + len(mfhd) + len(traf)
	dst = binary.BigEndian.AppendUint32(dst, uint32(moof))
	dst = append(dst, "moof"...)
	dst = append(dst, mfhd...)
	at := len(dst)
	dst = append(dst, traf...)
	binary.BigEndian.PutUint32(dst[at+boxHeader+trackAt:], 1)
	binary.BigEndian.PutUint32(dst[at+boxHeader+tfhdSize+tfdtSize+dataAt:], uint32(moof+boxHeader))
	dst = binary.BigEndian.AppendUint32(dst, uint32(size+boxHeader))
	return append(dst, "mdat"...)
}

// earlier takes ticks off the time of a moof of one traf, unless that is less.
func earlier(moof []byte, ticks int64) bool {
	at := moof[boxHeader+mfhdSize+boxHeader+tfhdSize+boxHeader+4:]
	dts := int64(binary.BigEndian.Uint64(at)) - ticks
	binary.BigEndian.PutUint64(at, uint64(dts))
	return dts >= 0
}

// samples returns where the samples of a traf lie, from its moof on, and how
// many bytes they have.
func samples(traf []byte) (data, size int64, err error) {
	tfhd, rest, ok := box(traf[boxHeader:], "tfhd")
	if !ok || len(tfhd) != tfhdSize {
		return 0, 0, errBoxes
	}
	tfdt, rest, ok := box(rest, "tfdt")
	if !ok || len(tfdt) != tfdtSize {
		return 0, 0, errBoxes
	}
	trun, rest, ok := box(rest, "trun")
	if !ok || len(trun) < trunHeader || len(rest) > 0 {
		return 0, 0, errBoxes
	}
	entry := 8
	switch flags := binary.BigEndian.Uint32(trun[boxHeader:]) & 0xffffff; flags {
	case trunDataOffset | trunDuration | trunSize:
	case trunDataOffset | trunDuration | trunSize | trunFlags | trunOffset:
		entry = 16
	default:
		return 0, 0, errBoxes
	}
	entries := trun[entriesAt:]
	if n := binary.BigEndian.Uint32(trun[12:]); int64(n)*int64(entry) != int64(len(entries)) {
		return 0, 0, errBoxes
	}
	for ; len(entries) > 0; entries = entries[entry:] {
		size += int64(binary.BigEndian.Uint32(entries[4:]))
	}
	return int64(int32(binary.BigEndian.Uint32(trun[dataAt:]))), size, nil
}
