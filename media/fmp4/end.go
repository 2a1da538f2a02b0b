package fmp4

import (
	"encoding/binary"
	"io"
	"time"

	"camrelay/media"
)

// End returns when the last sample of all tracks has been shown, by the times in
// size bytes of r: whole fragments as a Muxer has written them. tracks have the
// track_IDs 1, 2, …; of the media nothing is read.
func End(r io.ReaderAt, size int64, tracks []*media.Track) (end time.Duration, err error) {
	var e Extractor
	for offset := int64(0); offset < size; {
		moof, mdat, err := e.read(r, offset, size)
		if err != nil {
			return 0, err
		}
		_, rest, ok := box(moof[boxHeader:], "mfhd")
		for ok && len(rest) > 0 {
			var traf []byte
			if traf, rest, ok = box(rest, "traf"); !ok || len(traf) < minTraf {
				return 0, errBoxes
			}
			id := int64(binary.BigEndian.Uint32(traf[boxHeader+trackAt:]))
			if _, _, err := samples(traf); err != nil || id == 0 || id > int64(len(tracks)) || scale(tracks[id-1]) <= 0 {
				return 0, errBoxes
			}
			end = max(end, media.ToDuration(endOf(traf), scale(tracks[id-1])))
		}
		if !ok {
			return 0, errBoxes
		}
		offset += int64(len(moof)) + mdat
	}
	return end, nil
}

// endOf returns when the last sample of a traf, of which samples makes sense, has
// been shown, in ticks.
func endOf(traf []byte) (end int64) {
	tfdt := traf[boxHeader+tfhdSize:]
	dts := int64(binary.BigEndian.Uint64(tfdt[boxHeader+4:]))
	trun := tfdt[tfdtSize:]
	entry := audioTrun
	if binary.BigEndian.Uint32(trun[boxHeader:])&trunOffset != 0 {
		entry = videoTrun
	}
	for s := trun[entriesAt:]; len(s) > 0; s = s[entry:] {
		pts := dts
		if entry == videoTrun {
			pts += int64(int32(binary.BigEndian.Uint32(s[12:])))
		}
		d := int64(binary.BigEndian.Uint32(s))
		end, dts = max(end, pts+d), dts+d
	}
	return end
}
