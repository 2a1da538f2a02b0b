package depay

import (
	"errors"
	"fmt"
	"time"

	"camrelay/media"
)

// Bounds of an access unit. What is beyond them is dropped and counted.
const (
	maxSize  = 8 << 20 // bytes; key frames of 4.3 MB have been seen
	maxNALs  = 1024
	maxParts = 1 << 14 // of a fragmented NAL unit; each holds on to its packet
)

// Sequence numbers (RFC 3550 §A.1).
const (
	maxDropout = 3000 // a larger step forward is a restart of the counter, not a loss
	maxLate    = 100  // a smaller step back is a packet that came late or twice
)

// Errors of Decode. None of them is fatal; the decoder goes on with what follows.
var (
	errFragment = errors.New("fragment without its beginning or its end")
	errLimit    = errors.New("access unit is over the limit")
	errPayload  = errors.New("malformed payload")
)

// AU is an access unit or an audio frame.
type AU struct {
	Data   [][]byte  // NAL units without start codes, in order, or one audio frame; aliases the packets
	RTP    uint32    // time stamp
	Wall   time.Time // arrival of its first packet
	Key    bool      // video: decoding may begin here
	Params bool      // video: Data holds parameter sets
	Lost   bool      // packets were lost or dropped since the access unit before
}

// Decoder assembles the packets of one track.
type Decoder struct {
	assembly
	begun   bool
	seq     uint16 // of the last packet
	ssrc    uint32
	hole    bool // packets are missing before an empty one
	counted Counts
}

// Counts tells what a decoder could not use.
type Counts struct {
	Lost    uint64 // packets missing by sequence number
	Dropped uint64 // access units dropped because a part was missing or malformed
	Errors  uint64 // packets that could not be parsed
}

// assembly is what differs between codecs.
type assembly interface {
	// payload takes the payload of one packet. h.hole tells that packets are
	// missing before it, h.restart that the sequence numbers began anew.
	payload(out []AU, h head, p []byte) ([]AU, error)
	// flush gives out what has begun; complete tells that no more belongs to it.
	flush(out []AU, complete bool) []AU
	dropped() uint64
}

// head is the header of a packet with what the sequence tells about it.
type head struct {
	header
	hole    bool
	restart bool
	arrival time.Time
}

// New returns a decoder for a track that has units.
func New(t *media.Track) (*Decoder, error) {
	switch t.Codec {
	case media.CodecH264, media.CodecH265:
		return &Decoder{assembly: newVideo(t)}, nil
	case media.CodecAAC:
		a, err := newAAC(t)
		if err != nil {
			return nil, fmt.Errorf("cannot decode track %d: %w", t.ID, err)
		}
		return &Decoder{assembly: a}, nil
	case media.CodecOpus, media.CodecPCMA, media.CodecPCMU, media.CodecG722, media.CodecL16:
		return &Decoder{assembly: newSimple(t)}, nil
	}
	return nil, fmt.Errorf("cannot decode track %d: no units of %s", t.ID, t.Codec)
}

// Decode takes one RTP packet, header included, that arrived at arrival and
// appends the access units that it completes to out. The packet must not be
// written afterwards. An error tells that this packet, or the access unit that
// it belongs to, is lost; what else was complete is appended all the same.
func (d *Decoder) Decode(out []AU, packet []byte, arrival time.Time) ([]AU, error) {
	hd, p, err := parse(packet)
	if err != nil {
		d.counted.Errors++
		return out, err
	}
	h := head{header: hd, arrival: arrival}
	switch step := int16(h.seq - d.seq); {
	case !d.begun:
		d.begun = true
	case h.ssrc != d.ssrc || step > maxDropout || step <= -maxLate:
		h.restart = true
	case step <= 0:
		return out, nil
	case step > 1:
		d.hole = true
		d.counted.Lost += uint64(step - 1)
	}
	d.seq, d.ssrc = h.seq, h.ssrc
	if len(p) == 0 { // padding only: fills the sequence and nothing else
		return out, nil
	}
	h.hole, d.hole = d.hole, false
	out, err = d.payload(out, h, p)
	if err != nil {
		d.counted.Errors++
	}
	return out, err
}

// misses tells whether packets are missing before p by its sequence number, so
// that Decode will see by itself what that means.
func (d *Decoder) misses(p *media.Packets) bool {
	step := int16(p.Sequence() - d.seq)
	return d.begun && p.SSRC() == d.ssrc && step > 1 && step <= maxDropout
}

// Flush appends the access unit that has begun, if it is whole, and forgets
// the sequence: the next packet is the first of a connection.
func (d *Decoder) Flush(out []AU) []AU {
	d.begun, d.hole = false, false
	return d.flush(out, false)
}

// Counts returns the figures so far.
func (d *Decoder) Counts() Counts {
	c := d.counted
	c.Dropped = d.dropped()
	return c
}
