package rtspd

import (
	"encoding/binary"
	"math"
	"time"

	"camrelay/media"
)

// reportEvery is the longest time between two sender reports of a track.
const reportEvery = 4500 * time.Millisecond

// clock relates the RTP stamps of one track to arrival times. Packets come
// late by a varying delay, so the relation is that of the packet with the least
// delay of the last five to ten seconds: it follows the drift of the camera's
// clock and ignores jitter. For streams with B-frames that is also the one that
// was sent as soon as it was captured.
//
// All tracks of a camera are measured on the same clock, the monotonic one, so
// that players keep audio and video together for days (Q27), and a step of the
// box's wall clock does not reach them.
type clock struct {
	rate      int
	seen      bool
	last      uint32
	ticks     int64 // last, unwrapped
	cur, prev time.Duration
}

const unknownDelay = time.Duration(math.MaxInt64)

// observe notes that a packet stamped ts arrived at that time. gap says that
// what was learned before no longer holds.
func (c *clock) observe(ts uint32, arrival time.Duration, gap bool) {
	if !c.seen || gap {
		c.seen, c.cur, c.prev = true, unknownDelay, unknownDelay
	} else {
		c.ticks += int64(int32(ts - c.last))
	}
	c.last = ts
	c.cur = min(c.cur, arrival-media.ToDuration(c.ticks, c.rate))
}

// at returns the arrival time, free of delay, of a packet stamped ts.
func (c *clock) at(ts uint32) time.Duration {
	ticks := c.ticks + int64(int32(ts-c.last))
	return media.ToDuration(ticks, c.rate) + min(c.cur, c.prev)
}

// turn begins a new window.
func (c *clock) turn() {
	if c.cur != unknownDelay {
		c.prev, c.cur = c.cur, unknownDelay
	}
}

// unixToNTP is the number of seconds from 1900 to 1970.
const unixToNTP = 2208988800

// cname is the same for all tracks: players synchronise what shares it.
const cname = "camrelay"

// appendReport appends a compound of a sender report (RFC 3550 §6.4.1) and the
// source description with the CNAME that §6.1 demands.
func appendReport(b []byte, ssrc uint32, ntp time.Time, ts, packets, octets uint32) []byte {
	be := binary.BigEndian
	b = append(b, 0x80, 200, 0, 6)
	b = be.AppendUint32(b, ssrc)
	b = be.AppendUint32(b, uint32(ntp.Unix()+unixToNTP))
	b = be.AppendUint32(b, uint32(uint64(ntp.Nanosecond())<<32/uint64(time.Second)))
	b = be.AppendUint32(b, ts)
	b = be.AppendUint32(b, packets)
	b = be.AppendUint32(b, octets)

	const item = 2 + len(cname)
	const words = 1 + (item+4)/4 // the list ends with one to four zeros
	b = append(b, 0x81, 202, 0, byte(words))
	b = be.AppendUint32(b, ssrc)
	b = append(b, 1, byte(len(cname)))
	b = append(b, cname...)
	return append(b, make([]byte, 4*(words-1)-item)...)
}
