package mediatest

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"camrelay/media"
)

// ReadTS passes each frame of a transport stream on, as soon as it begins.
func ReadTS(r io.Reader, got func(Received)) error {
	b := bufio.NewReader(r)
	var p [188]byte
	for {
		if _, err := io.ReadFull(b, p[:]); err != nil {
			return err
		}
		pid := int(p[1]&0x1f)<<8 | int(p[2])
		if p[0] != 0x47 {
			return errors.New("no transport packet")
		}
		if p[1]&0x40 == 0 || p[3]&0x10 == 0 || pid < 0x100 || pid > 0x107 {
			continue
		}
		flags, payload := byte(0), p[4:]
		if p[3]&0x20 != 0 {
			flags, payload = p[5], p[5+int(p[4]):]
		}
		pts := int64(payload[9]>>1&7)<<30 | int64(payload[10])<<22 | int64(payload[11]>>1)<<15 |
			int64(payload[12])<<7 | int64(payload[13]>>1)
		f := Received{Kind: media.KindVideo, Key: flags&0x40 != 0, PTS: media.ToDuration(pts, 90000)}
		if payload[3] != 0xe0 {
			f.Kind, f.Key = media.KindAudio, false
		}
		if _, sps, ok := bytes.Cut(payload, []byte{0, 0, 0, 1, 0x67}); ok && f.Key {
			sps, _, _ = bytes.Cut(sps, []byte{0, 0, 0, 1})
			f.SPS = bytes.Clone(sps)
		}
		got(f)
	}
}
