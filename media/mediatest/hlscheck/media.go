package hlscheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// track is what an init segment tells of one.
type track struct {
	codec media.Codec // of video; anything else is no video
	video bool
	scale uint32
}

// run is the media of one track in a part or a segment.
type run struct {
	from, to time.Duration // media time
	key      bool          // its first sample is a key frame, by its NAL units
}

var errBoxes = errors.New("broken boxes")

// boxes calls f with the name and the content of each box of b.
func boxes(b []byte, f func(name string, body []byte) error) error {
	for len(b) > 0 {
		if len(b) < 8 {
			return errBoxes
		}
		n := binary.BigEndian.Uint32(b)
		if n < 8 || int64(n) > int64(len(b)) {
			return errBoxes
		}
		if err := f(string(b[4:8]), b[8:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// parseInit returns the tracks of an init segment by their IDs.
func parseInit(b []byte) (map[uint32]track, error) {
	all := make(map[uint32]track)
	var id uint32
	var t track
	var walk func(name string, body []byte) error
	walk = func(name string, body []byte) error {
		switch {
		case name == "moov" || name == "mdia" || name == "minf" || name == "stbl":
			return boxes(body, walk)
		case name == "trak":
			t = track{}
			err := boxes(body, walk)
			all[id] = t
			return err
		case name == "tkhd" && len(body) >= 24:
			id = binary.BigEndian.Uint32(body[12+8*int(body[0]):])
		case name == "mdhd" && len(body) >= 24:
			t.scale = binary.BigEndian.Uint32(body[12+8*int(body[0]):])
		case name == "stsd" && len(body) >= 16:
			switch string(body[12:16]) {
			case "avc1":
				t.codec, t.video = media.CodecH264, true
			case "hvc1":
				t.codec, t.video = media.CodecH265, true
			}
		}
		return nil
	}
	err := boxes(b, walk)
	if err == nil && len(all) == 0 {
		err = errors.New("no tracks")
	}
	return all, err
}

// parseMedia returns the runs of the tracks in a part or a segment.
func parseMedia(tracks map[uint32]track, b []byte) (map[uint32]run, error) {
	runs := make(map[uint32]run)
	at := 0
	err := boxes(b, func(name string, body []byte) error {
		from := at
		at += 8 + len(body)
		if name != "moof" {
			return nil
		}
		return boxes(body, func(name string, body []byte) error {
			if name != "traf" {
				return nil
			}
			return addTraf(runs, tracks, body, b[from:])
		})
	})
	if err == nil && len(runs) == 0 {
		err = errors.New("no media")
	}
	return runs, err
}

// traf is what is read of one.
type traf struct {
	id           uint32
	from, length uint64 // ticks
	offset, size int    // of its first sample
}

// addTraf adds a traf to runs; file begins with its moof.
func addTraf(runs map[uint32]run, tracks map[uint32]track, body, file []byte) error {
	var f traf
	err := boxes(body, f.read)
	t, ok := tracks[f.id]
	if err != nil || !ok || t.scale == 0 || f.offset+f.size > len(file) {
		return fmt.Errorf("track %d: %w", f.id, errBoxes)
	}
	r, had := runs[f.id]
	if !had {
		r.from = media.ToDuration(int64(f.from), int(t.scale))
		r.key = !t.video || codec.Key(t.codec, nals(file[f.offset:f.offset+f.size]))
	}
	r.to = media.ToDuration(int64(f.from+f.length), int(t.scale))
	runs[f.id] = r
	return nil
}

// read takes what a box in it tells.
func (f *traf) read(name string, body []byte) error {
	switch {
	case name == "tfhd" && len(body) >= 8:
		f.id = binary.BigEndian.Uint32(body[4:])
	case name == "tfdt" && len(body) >= 12 && body[0] == 1:
		f.from = binary.BigEndian.Uint64(body[4:])
	case name == "trun" && len(body) >= 20:
		flags := binary.BigEndian.Uint32(body) & 0xffffff
		entry := 4 * bits.OnesCount32(flags&0xf00)
		n := int(binary.BigEndian.Uint32(body[4:]))
		if flags&0x301 != 0x301 || n == 0 || len(body) < 12+n*entry { // data offset, durations, sizes
			return errBoxes
		}
		f.offset, f.size = int(binary.BigEndian.Uint32(body[8:])), int(binary.BigEndian.Uint32(body[16:]))
		for i := range n {
			f.length += uint64(binary.BigEndian.Uint32(body[12+i*entry:]))
		}
	}
	return nil
}

// nals splits a sample with length prefixes of four bytes.
func nals(b []byte) (all [][]byte) {
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b))
		if n > len(b)-4 {
			return nil
		}
		all = append(all, b[4:4+n])
		b = b[4+n:]
	}
	return all
}
