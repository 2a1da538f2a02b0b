package srt

import "camrelay/media/mpegts"

// payload is what one SRT message carries: seven transport packets.
const payload = 7 * mpegts.PacketSize

// cutter cuts a transport stream into messages of one payload each.
type cutter struct {
	rest []byte // less than a payload; its capacity is one
}

// cut calls send with each message that b completes, until that fails. What is
// left over begins the next. A message is valid during the call.
func (c *cutter) cut(b []byte, send func(msg []byte) error) error {
	if c.rest == nil {
		c.rest = make([]byte, 0, payload)
	}
	for len(c.rest)+len(b) >= payload {
		k := payload - len(c.rest)
		msg := b[:k]
		if len(c.rest) > 0 {
			msg = append(c.rest, msg...)
		}
		if err := send(msg); err != nil {
			return err
		}
		c.rest, b = c.rest[:0], b[k:]
	}
	c.rest = append(c.rest, b...)
	return nil
}

// pad fills what is left over with null packets, and sends it.
func (c *cutter) pad(send func(msg []byte) error) error {
	if len(c.rest) == 0 {
		return nil
	}
	for len(c.rest) < payload {
		c.rest = mpegts.AppendNull(c.rest)
	}
	msg := c.rest
	c.rest = c.rest[:0]
	return send(msg)
}
