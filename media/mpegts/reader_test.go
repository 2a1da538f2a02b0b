package mpegts_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// packet is one packet of a transport stream, taken apart.
type packet struct {
	pid        int
	start      bool
	counter    int
	field      bool // has an adaptation field
	flags      byte
	pcr        int64 // 27 MHz, -1: none
	stuffing   int
	hasPayload bool
	payload    []byte
}

var errPacket = errors.New("malformed packet")

// readPacket takes a packet apart and refuses what ISO 13818-1 does not allow.
func readPacket(b []byte) (p packet, err error) {
	if len(b) != 188 || b[0] != 0x47 || b[1]&0x80 != 0 || b[3]&0xc0 != 0 {
		return p, errPacket
	}
	p = packet{
		pid: int(b[1]&0x1f)<<8 | int(b[2]), start: b[1]&0x40 != 0, counter: int(b[3] & 15),
		field: b[3]&0x20 != 0, pcr: -1, hasPayload: b[3]&0x10 != 0,
	}
	b = b[4:]
	if p.field {
		n := int(b[0])
		if p.hasPayload && n > 182 || !p.hasPayload && n != 183 {
			return p, fmt.Errorf("%w: adaptation field of %d bytes", errPacket, n)
		}
		if err := p.readField(b[1 : 1+n]); err != nil {
			return p, err
		}
		b = b[1+n:]
	}
	p.payload = b
	if !p.field && !p.hasPayload {
		return p, errPacket
	}
	return p, nil
}

func (p *packet) readField(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p.flags, b = b[0], b[1:]
	if p.flags&0x0f != 0 {
		return fmt.Errorf("%w: flags %#x", errPacket, p.flags)
	}
	if p.flags&0x10 != 0 {
		base := int64(binary.BigEndian.Uint32(b))<<1 | int64(b[4]>>7)
		p.pcr = base*300 + int64(b[4]&1)<<8 + int64(b[5])
		b = b[6:]
	}
	for _, c := range b {
		if c != 0xff {
			return fmt.Errorf("%w: stuffing %#x", errPacket, c)
		}
	}
	p.stuffing = len(b)
	return nil
}

// listed is a stream as a PMT lists it.
type listed struct {
	pid, kind int
	desc      string // in hex
}

// pesUnit is the content of one PES packet.
type pesUnit struct {
	pid      int
	id       byte
	pts, dts int64
	random   bool
	gap      bool
	data     []byte
	left     int // that the length field still promises, -1: it is open
}

// reader collects what a transport stream holds.
type reader struct {
	streams  []listed
	pcrPID   int
	version  int
	tables   int // PATs with their PMTs
	counters map[int]int
	pmt      int
	open     map[int]*pesUnit
	units    []*pesUnit
}

func newReader() *reader {
	return &reader{counters: map[int]int{}, pmt: -1, version: -1, open: map[int]*pesUnit{}}
}

func (r *reader) packet(p packet) error {
	last, known := r.counters[p.pid]
	want := last
	if p.hasPayload {
		want = (last + 1) & 15
	}
	if known && p.counter != want {
		return fmt.Errorf("PID %#x: counter %d, want %d", p.pid, p.counter, want)
	}
	r.counters[p.pid] = p.counter
	switch {
	case !p.hasPayload:
		return nil
	case p.pid == 0:
		body, err := section(p.payload, 0)
		if err != nil || len(body) != 4 {
			return fmt.Errorf("bad PAT: %w", err)
		}
		r.pmt = int(body[2]&0x1f)<<8 | int(body[3])
		return nil
	case p.pid == r.pmt:
		return r.readPMT(p.payload)
	case p.start:
		u, err := readPES(p)
		r.open[p.pid] = u
		r.units = append(r.units, u)
		return err
	case r.open[p.pid] == nil:
		return fmt.Errorf("PID %#x: payload without a start", p.pid)
	}
	return r.open[p.pid].add(p.payload)
}

func (u *pesUnit) add(b []byte) error {
	u.data = append(u.data, b...)
	if u.left >= 0 {
		if u.left -= len(b); u.left < 0 {
			return errors.New("PES longer than it says")
		}
	}
	return nil
}

func (r *reader) readPMT(b []byte) error {
	body, err := section(b, 2)
	if err != nil {
		return fmt.Errorf("bad PMT: %w", err)
	}
	r.tables++
	r.version = int(b[6] >> 1 & 31)
	r.pcrPID = int(body[0]&0x1f)<<8 | int(body[1])
	r.streams = nil
	for body = body[4:]; len(body) > 0; {
		n := int(body[4])
		r.streams = append(r.streams, listed{
			int(body[1]&0x1f)<<8 | int(body[2]), int(body[0]), fmt.Sprintf("%x", body[5:5+n]),
		})
		body = body[5+n:]
	}
	return nil
}

// section returns what is between the header and the CRC of a table.
func section(b []byte, id byte) ([]byte, error) {
	if b[0] != 0 || b[1] != id || b[2]&0xf0 != 0xb0 {
		return nil, errors.New("no such section")
	}
	n := 3 + int(b[2]&0xf)<<8 + int(b[3])
	for _, c := range b[1+n:] {
		if c != 0xff {
			return nil, errors.New("no stuffing after the section")
		}
	}
	if remainder(b[1:1+n]) != 0 {
		return nil, errors.New("wrong CRC")
	}
	return b[9 : 1+n-4], nil
}

// remainder divides by the polynomial of sections bit by bit; it is 0 for a
// section with its CRC.
func remainder(b []byte) uint32 {
	reg := ^uint32(0)
	for _, c := range b {
		for i := 7; i >= 0; i-- {
			bit := reg>>31 ^ uint32(c>>i)&1
			reg <<= 1
			if bit == 1 {
				reg ^= 0x04c11db7
			}
		}
	}
	return reg
}

func readPES(p packet) (*pesUnit, error) {
	b := p.payload
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 {
		return nil, errors.New("no PES")
	}
	u := &pesUnit{pid: p.pid, id: b[3], random: p.flags&0x40 != 0, gap: p.flags&0x80 != 0, left: -1}
	n := 9 + int(b[8])
	if size := int(binary.BigEndian.Uint16(b[4:])); size > 0 {
		u.left = size + 6 - n
	}
	var err error
	switch b[7] >> 6 {
	case 2:
		u.pts, err = readStamp(b[9:], 2)
		u.dts = u.pts
	case 3:
		u.pts, err = readStamp(b[9:], 3)
		if err == nil {
			u.dts, err = readStamp(b[14:], 1)
		}
	default:
		err = errors.New("no stamps")
	}
	if err == nil {
		err = u.add(b[n:])
	}
	return u, err
}

func readStamp(b []byte, prefix byte) (int64, error) {
	if b[0]>>4 != prefix || b[0]&b[2]&b[4]&1 == 0 {
		return 0, errors.New("bad marker bits")
	}
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1), nil
}

// line tells of a packet what a reader of the golden file wants to know.
func (r *reader) line(p packet) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%04x cc=%-2d", p.pid, p.counter)
	if p.flags&0x80 != 0 {
		s.WriteString(" discontinuity")
	}
	if p.flags&0x40 != 0 {
		s.WriteString(" random")
	}
	if p.pcr >= 0 {
		fmt.Fprintf(&s, " pcr=%d", p.pcr)
	}
	if p.field {
		fmt.Fprintf(&s, " stuffing=%d", p.stuffing)
	}
	switch {
	case !p.hasPayload:
	case p.pid == 0:
		fmt.Fprintf(&s, " PAT pmt=%04x", r.pmt)
	case p.pid == r.pmt:
		fmt.Fprintf(&s, " PMT version=%d pcr=%04x", r.version, r.pcrPID)
		for _, l := range r.streams {
			fmt.Fprintf(&s, " %04x:%02x[%s]", l.pid, l.kind, l.desc)
		}
	case p.start:
		u := r.open[p.pid]
		fmt.Fprintf(&s, " PES %02x", u.id)
		if u.left >= 0 {
			fmt.Fprintf(&s, " length=%d", len(u.data)+u.left)
		}
		fmt.Fprintf(&s, " pts=%d", u.pts)
		if u.dts != u.pts {
			fmt.Fprintf(&s, " dts=%d", u.dts)
		}
		fmt.Fprintf(&s, " %x", u.data[:min(16, len(u.data))])
	}
	return s.String()
}

// readAll reads a whole transport stream; lines tells of each packet.
func readAll(b []byte) (r *reader, lines []string, err error) {
	r = newReader()
	for ; len(b) >= 188; b = b[188:] {
		p, err := readPacket(b[:188])
		if err == nil {
			err = r.packet(p)
		}
		if err != nil {
			return r, lines, fmt.Errorf("packet %d: %w", len(lines), err)
		}
		lines = append(lines, r.line(p))
	}
	if len(b) > 0 {
		return r, lines, errors.New("half a packet at the end")
	}
	for _, u := range r.units {
		if u.left > 0 {
			return r, lines, errors.New("PES shorter than it says")
		}
	}
	return r, lines, nil
}
