package rtmp

import (
	"encoding/binary"
	"errors"
	"time"
)

// Bounds of what the other side may say: neither a server of a publisher nor a
// player has much to tell.
const (
	maxBefore = 256 << 10 // bytes before the session has begun
	maxBurst  = 1 << 20   // bytes beyond what maxRate allows
	maxRate   = 32 << 10  // bytes per second of the session
	minWindow = 4 << 10   // bytes between two acknowledgements
)

var errFlood = errors.New("the other side sends more than has to be read")

// inflow counts what comes in: it is bounded, and acknowledged (§5.4.3).
type inflow struct {
	received uint64
	acked    uint64
	window   uint64    // bytes between two acknowledgements, 0 for none
	began    time.Time // of the session, zero before
}

// add counts n bytes that came at the time now.
func (f *inflow) add(n int, now time.Time) error {
	f.received += uint64(n)
	limit := uint64(maxBefore)
	if !f.began.IsZero() {
		limit = maxBefore + maxBurst + uint64(now.Sub(f.began).Seconds()*maxRate)
	}
	if f.received > limit {
		return errFlood
	}
	return nil
}

// begin notes that the session has begun.
func (f *inflow) begin(now time.Time) {
	if f.began.IsZero() {
		f.began = now
	}
}

// announced takes the body of a Window Acknowledgement Size message.
func (f *inflow) announced(body []byte) {
	if len(body) >= 4 {
		f.window = max(uint64(binary.BigEndian.Uint32(body)), minWindow)
	}
}

// acknowledge returns the body of an Acknowledgement, nil if none is due.
func (f *inflow) acknowledge() []byte {
	if f.window == 0 || f.received-f.acked < f.window {
		return nil
	}
	f.acked = f.received
	return binary.BigEndian.AppendUint32(nil, uint32(f.received))
}

// pong returns the body that answers a User Control message, nil if it is no ping.
func pong(body []byte) []byte {
	const ping, answer, size = 6, 7, 6
	if len(body) < size || binary.BigEndian.Uint16(body) != ping {
		return nil
	}
	return append([]byte{0, answer}, body[2:size]...)
}
