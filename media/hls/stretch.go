package hls

import (
	"encoding/binary"
	"time"

	"camrelay/media"
	"camrelay/media/mpegts"
)

// stretch is the format of MPEG-TS, and gathers the chunks of one packager:
// they are muxed already, so units come without data, one with each chunk.
type stretch struct {
	of   *packager
	unit media.Unit // the one under way, of which chunk was made
	data []byte     // the chunk

	lead   int           // ID of the leading track
	frame  time.Duration // its usual distance of units
	newest time.Duration // its DTS, valid if any
	any    bool

	tables []byte   // the newest
	seg    *segment // the newest that has had a chunk
	bufs   [][]byte
	size   int
}

func (*stretch) carries(t *media.Track) bool { return mpegts.Carries(t) }

func (*stretch) describe(tracks []*media.Track) (b []byte, err error) {
	for _, t := range tracks {
		b = append(b, byte(t.Codec))
		for _, set := range [...][]byte{t.VPS, t.SPS, t.PPS, t.AudioConfig} {
			b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
			b = append(b, set...)
		}
	}
	return b, nil
}

func (x *stretch) start(tracks []*media.Track, _ time.Duration, same mux) mux {
	if same != mux(x) {
		x.lead, x.any = tracks[0].ID, false
		x.frame = time.Second / 25
		if rate := tracks[0].FrameRate; rate > 0 {
			x.frame = time.Duration(float64(time.Second) / rate)
		}
	}
	return x
}

// take packages a chunk. gap tells that something is missing before it.
func (x *stretch) take(c *mpegts.Chunk, gap bool) {
	if t := c.Tables(); t != nil {
		x.tables = t
	}
	if x.tables == nil {
		return
	}
	x.data = c.Data
	x.unit = media.Unit{Track: c.Track, PTS: c.PTS, DTS: c.DTS, Wall: c.Wall, Key: c.Key, Gap: c.Gap}
	x.of.unit(&x.unit, gap || c.Gap)
}

// Add implements mux. A segment begins with the tables: where the multiplex
// does not have them, the last ones come again, as packets may (ISO 13818-1
// 2.4.3.3).
func (x *stretch) Add(u *media.Unit) bool {
	if u.Track.ID == x.lead {
		x.learn(u.DTS)
	}
	if x.seg != x.of.seg && &x.data[0] != &x.tables[0] {
		x.put(x.tables)
	}
	x.seg = x.of.seg
	x.put(x.data)
	return true
}

func (x *stretch) put(b []byte) {
	x.bufs = append(x.bufs, b)
	x.size += len(b)
}

// learn follows the usual distance of units; a stall counts as two.
func (x *stretch) learn(dts time.Duration) {
	if d := dts - x.newest; x.any && d > 0 {
		x.frame += (min(d, 2*x.frame) - x.frame) / 4
	}
	x.newest, x.any = dts, true
}

// Frame implements mux.
func (x *stretch) Frame(int) time.Duration { return x.frame }

// End implements mux: time stamps are those of the multiplex.
func (*stretch) End() time.Duration { return 0 }

// Flush implements mux.
func (x *stretch) Flush(dst [][]byte, _ *media.Unit) (bufs [][]byte, size int) {
	dst, size = append(dst, x.bufs...), x.size
	clear(x.bufs)
	x.bufs, x.size = x.bufs[:0], 0
	return dst, size
}
