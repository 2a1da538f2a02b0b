package depay

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"camrelay/media"
	"camrelay/media/codec"
)

// simple passes each payload on as one frame, cut to whole samples: Opus (RFC
// 7587), G.711 and G.722 (RFC 3551 §4.5) in samples of one byte, L16 of two.
type simple struct {
	sample int // bytes of a sample of all channels
}

func newSimple(t *media.Track) simple {
	s := simple{sample: 1}
	switch t.Codec {
	case media.CodecPCMA, media.CodecPCMU:
		s.sample = max(1, t.Channels)
	case media.CodecL16:
		s.sample = 2 * max(1, t.Channels)
	}
	return s
}

func (s simple) payload(out []AU, h head, p []byte) ([]AU, error) {
	n := len(p) - len(p)%s.sample
	if n == 0 {
		return out, errPayload
	}
	p = p[:n:n]
	return append(out, AU{Data: [][]byte{p}, RTP: h.ts, Wall: h.arrival, Lost: h.hole}), nil
}

func (simple) flush(out []AU, _ bool) []AU { return out }
func (simple) dropped() uint64             { return 0 }

// maxFrame bounds an AAC frame that comes in parts: 6144 bits for each of 48
// channels (ISO 14496-3 §4.5.3.1).
const maxFrame = 48 * 6144 / 8

// aac takes the frames out of RFC 3640 payloads, and of what cameras send in
// their place: ADTS with or without AU headers, MPEG-4 LATM (RFC 6416).
type aac struct {
	size, index, delta int // bits of the AU header fields
	ticks              uint32
	latm               *mpeg4audio.StreamMuxConfig
	inBand             bool // LATM with its configuration in the stream
	isLATM             bool

	part  []byte // of a frame or LATM element in several packets
	ts    uint32 // of part
	wall  time.Time
	whole int // bytes that the frame will have
	lost  bool
	drops uint64
}

func newAAC(t *media.Track) (*aac, error) {
	a := &aac{size: 13, index: 3, delta: 3, ticks: 1024}
	if c, err := codec.ParseAudio(t.AudioConfig); err == nil {
		a.ticks = uint32(int64(c.Samples) * int64(t.ClockRate) / int64(c.SampleRate))
	}
	if strings.Contains(strings.ToUpper(t.RTPMap), "LATM") {
		return a, a.setLATM(t)
	}
	if strings.EqualFold(t.FMTP["mode"], "AAC-lbr") { // RFC 3640 §3.3.5
		a.size, a.index, a.delta = 6, 2, 2
	}
	for key, field := range map[string]*int{
		"sizelength": &a.size, "indexlength": &a.index, "indexdeltalength": &a.delta,
	} {
		if n, err := strconv.Atoi(t.FMTP[key]); err == nil && n >= 0 && n <= 32 {
			*field = n
		}
	}
	if a.size == 0 {
		return nil, fmt.Errorf("AU headers without a size")
	}
	return a, nil
}

func (a *aac) setLATM(t *media.Track) error {
	a.isLATM, a.inBand = true, t.FMTP["cpresent"] != "0"
	if raw, err := hex.DecodeString(t.FMTP["config"]); err == nil && len(raw) > 0 {
		var c mpeg4audio.StreamMuxConfig
		if err := c.Unmarshal(raw); err == nil {
			a.latm = &c
		}
	}
	if !a.inBand && a.latm == nil {
		return fmt.Errorf("no StreamMuxConfig")
	}
	return nil
}

func (a *aac) dropped() uint64 { return a.drops }

func (a *aac) flush(out []AU, _ bool) []AU {
	a.abandon()
	a.lost = false
	return out
}

// abandon drops a frame whose end never came.
func (a *aac) abandon() {
	if len(a.part) > 0 {
		a.drops++
		a.lost = true
	}
	a.part = nil
}

func (a *aac) payload(out []AU, h head, p []byte) ([]AU, error) {
	a.lost = a.lost || h.hole
	if h.hole || h.restart || len(a.part) > 0 && h.ts != a.ts {
		a.abandon()
	}
	if a.isLATM {
		return a.element(out, h, p)
	}
	if isADTS(p) {
		return a.adts(out, h, p)
	}
	return a.frames(out, h, p)
}

// frames takes the payload of RFC 3640 §3.2.
func (a *aac) frames(out []AU, h head, p []byte) ([]AU, error) {
	if len(p) < 2 {
		return out, errPayload
	}
	bitLen := int(p[0])<<8 | int(p[1])
	headers := (bitLen + 7) / 8
	if bitLen < a.size || len(p) < 2+headers {
		a.abandon()
		return out, errPayload
	}
	head, rest := p[2:2+headers], p[2+headers:]
	first := readBits(head, 0, a.size)
	single := bitLen < 2*a.size+a.index+a.delta
	if single && (len(a.part) > 0 || first > len(rest) || !h.marker && len(rest) > 1200) {
		return a.fragment(out, h, rest, first)
	}
	a.abandon()
	n := uint32(0)
	for pos := 0; pos+a.size <= bitLen; n++ {
		size := readBits(head, pos, a.size)
		if size > len(rest) || size == 0 {
			return out, errPayload
		}
		out = a.emit(out, h.ts+n*a.ticks, h.arrival, rest[:size:size])
		rest = rest[size:]
		if pos += a.size + a.delta; n == 0 {
			pos += a.index - a.delta
		}
	}
	return out, nil
}

// fragment takes a part of a frame. By RFC 3640 §3.2.3 its AU header tells the
// size of the whole frame; some senders tell that of the part.
func (a *aac) fragment(out []AU, h head, part []byte, size int) ([]AU, error) {
	if len(a.part) == 0 {
		a.ts, a.wall, a.whole = h.ts, h.arrival, size
	}
	if len(a.part)+len(part) > maxFrame {
		a.abandon()
		return out, errLimit
	}
	a.part = append(a.part, part...)
	if !h.marker && (a.whole == size && len(a.part) < size || size == len(part)) {
		return out, nil
	}
	frame := a.part
	a.part = nil
	return a.emit(out, a.ts, a.wall, frame), nil
}

func (a *aac) emit(out []AU, ts uint32, wall time.Time, frame []byte) []AU {
	if isADTS(frame) {
		if n := adtsSize(frame); n == len(frame) {
			frame = frame[adtsHeader(frame):]
		}
	}
	out = append(out, AU{Data: [][]byte{frame}, RTP: ts, Wall: wall, Lost: a.lost})
	a.lost = false
	return out
}

// adts takes a payload of ADTS frames without AU headers.
func (a *aac) adts(out []AU, h head, p []byte) ([]AU, error) {
	for n := uint32(0); len(p) > 0; n++ {
		size := 0
		if isADTS(p) {
			size = adtsSize(p)
		}
		if size <= adtsHeader(p) || size > len(p) {
			return out, errPayload
		}
		out = a.emit(out, h.ts+n*a.ticks, h.arrival, p[:size:size])
		p = p[size:]
	}
	return out, nil
}

// isADTS tells whether b begins like an ADTS frame (ISO 14496-3 §1.A.2.2.1):
// twelve sync bits, layer 0. No AU-headers-length is that large.
func isADTS(b []byte) bool { return len(b) >= 7 && b[0] == 0xff && b[1]&0xf6 == 0xf0 }

func adtsSize(b []byte) int { return int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5 }

func adtsHeader(b []byte) int {
	if len(b) > 1 && b[1]&1 == 0 {
		return 9 // with CRC
	}
	return 7
}

// element takes a part of an audioMuxElement; the marker ends it.
func (a *aac) element(out []AU, h head, p []byte) ([]AU, error) {
	if len(a.part)+len(p) > maxFrame {
		a.abandon()
		return out, errLimit
	}
	if len(a.part) == 0 {
		a.ts, a.wall = h.ts, h.arrival
	}
	if a.part = append(a.part, p...); !h.marker {
		return out, nil
	}
	e := mpeg4audio.AudioMuxElement{MuxConfigPresent: a.inBand, StreamMuxConfig: a.latm}
	err := e.Unmarshal(a.part)
	a.part = nil
	if err != nil {
		a.drops++
		a.lost = true
		return out, fmt.Errorf("cannot parse LATM: %w", err)
	}
	a.latm = e.StreamMuxConfig
	n := uint32(0)
	for _, subframe := range e.Payloads {
		if len(subframe) > 0 && len(subframe[0]) > 0 {
			out = a.emit(out, a.ts+n*a.ticks, a.wall, subframe[0][0])
			n++
		}
	}
	return out, nil
}

// readBits returns n bits of b from position pos on, bits beyond it being 0.
func readBits(b []byte, pos, n int) int {
	v := 0
	for i := pos; i < pos+n; i++ {
		v <<= 1
		if i/8 < len(b) {
			v |= int(b[i/8]>>(7-i%8)) & 1
		}
	}
	return v
}
