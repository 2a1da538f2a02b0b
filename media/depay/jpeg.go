package depay

import (
	"encoding/binary"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmjpeg"
	"github.com/pion/rtp"
)

// Parts of an RTP/JPEG payload (RFC 2435 §3.1, §3.1.7, §3.1.8).
const (
	jpegHeader    = 8
	restartHeader = 4
	tablesHeader  = 4
	maxTables     = 4 * 128 // bytes: four tables of 16 bits
	restartTypes  = 64      // from here on there is a restart header
	inBandTables  = 128     // from this Q on the tables are in the first packet of a picture
)

// errJPEG reports a payload that RFC 2435 does not know.
var errJPEG = errors.New("malformed JPEG payload")

// JPEG gathers the pictures of an MJPEG track, each a whole JPEG file (RFC
// 2435). The zero value is ready. Beside what gortsplib reads it knows restart
// intervals, and tables that are sent once for many pictures.
type JPEG struct {
	dec    rtpmjpeg.Decoder
	whole  bool             // nothing is missing since the beginning of the picture
	seq    uint16           // of the last packet
	size   int              // of the picture so far
	every  uint16           // its restart interval, 0 if it has none
	tables map[uint8][]byte // by Q, header included
}

// Decode takes one RTP packet, header included, and returns the picture that it
// completes, nil if there is none. The packet must not be written afterwards,
// the picture is the caller's. An error tells that the picture that the packet
// belongs to is lost.
func (j *JPEG) Decode(packet []byte) (picture []byte, err error) {
	h, p, err := parse(packet)
	if err != nil {
		return nil, err
	}
	j.whole = j.whole && h.seq == j.seq+1
	j.seq = h.seq
	if len(p) < jpegHeader || p[6] == 0 || p[7] == 0 {
		j.whole = false
		return nil, errJPEG
	}
	offset := int(p[1])<<16 | int(p[2])<<8 | int(p[3])
	if offset == 0 {
		j.whole, j.size = true, 0
	}
	if !j.whole {
		return nil, nil // the end of a picture whose beginning is missing
	}
	plain, err := j.plain(p, offset == 0)
	if j.size += len(p); err == nil && j.size > maxSize {
		err = errLimit
	}
	if err != nil {
		j.whole = false
		return nil, err
	}
	picture, err = j.dec.Decode(&rtp.Packet{Header: rtp.Header{Marker: h.marker}, Payload: plain})
	switch {
	case errors.Is(err, rtpmjpeg.ErrMorePacketsNeeded):
		return nil, nil
	case err != nil:
		j.whole = false
		return nil, err
	}
	j.whole = false
	return j.restarts(picture), nil
}

// plain returns the payload as gortsplib knows it: of a type without restart
// intervals, and with its tables in it.
func (j *JPEG) plain(p []byte, first bool) ([]byte, error) {
	head := [jpegHeader]byte(p)
	rest := p[jpegHeader:]
	j.every = 0
	if restarts := head[4] >= restartTypes && head[4] < 2*restartTypes; restarts {
		if len(rest) < restartHeader {
			return nil, errJPEG
		}
		j.every = binary.BigEndian.Uint16(rest)
		head[4] -= restartTypes
		rest = rest[restartHeader:]
	} else if !first || head[5] < inBandTables {
		return p, nil
	}
	if !first || head[5] < inBandTables {
		return append(head[:], rest...), nil
	}
	if len(rest) < tablesHeader {
		return nil, errJPEG
	}
	n := tablesHeader + int(binary.BigEndian.Uint16(rest[2:]))
	if n > min(len(rest), tablesHeader+maxTables) {
		return nil, errJPEG
	}
	tables := rest[:n]
	if n > tablesHeader && head[5] != 255 { // 255 says that they change with each picture
		if j.tables == nil {
			j.tables = make(map[uint8][]byte)
		}
		j.tables[head[5]] = append([]byte(nil), tables...)
	} else if n == tablesHeader {
		tables = j.tables[head[5]]
	}
	if len(tables) == 0 {
		return nil, errJPEG
	}
	return append(append(head[:], tables...), rest[n:]...), nil
}

// restarts puts the restart interval into a picture (DRI, ISO 10918-1 §B.2.4.4).
func (j *JPEG) restarts(picture []byte) []byte {
	if j.every == 0 || len(picture) < 2 {
		return picture
	}
	out := make([]byte, 0, len(picture)+6)
	out = append(out, picture[:2]...)
	out = append(out, 0xff, 0xdd, 0, 4, byte(j.every>>8), byte(j.every))
	return append(out, picture[2:]...)
}
