package selftest

// tsReader takes an MPEG transport stream apart as far as its picture.
// Specification: ISO/IEC 13818-1 §2.4.3.
type tsReader struct {
	got     func(nal []byte)
	rest    []byte // of a packet
	counter map[int]byte
	pes     map[int][]byte // by PID, of pictures
	lost    int            // packets, by their counters
	broken  int            // bytes that are no packets
}

func newTSReader(got func([]byte)) *tsReader {
	return &tsReader{got: got, counter: make(map[int]byte), pes: make(map[int][]byte)}
}

const tsPacket = 188

// maxPES bounds a picture.
const maxPES = 8 << 20

// write takes the next bytes.
func (r *tsReader) write(b []byte) {
	r.rest = append(r.rest, b...)
	b = r.rest
	for len(b) >= tsPacket {
		if b[0] != 0x47 {
			r.broken++
			b = b[1:]
			continue
		}
		r.packet(b[:tsPacket])
		b = b[tsPacket:]
	}
	r.rest = append(r.rest[:0], b...)
}

func (r *tsReader) packet(p []byte) {
	pid := int(p[1]&0x1f)<<8 | int(p[2])
	start, field, payload := p[1]&0x40 != 0, p[3]&0x20 != 0, p[3]&0x10 != 0
	const null = 0x1fff
	if !payload || pid == null {
		return
	}
	if last, known := r.counter[pid]; known && p[3]&15 != (last+1)&15 {
		r.lost++
		delete(r.pes, pid)
	}
	r.counter[pid] = p[3] & 15
	b := p[4:]
	if field {
		n := 1 + int(b[0])
		if n > len(b) {
			return
		}
		b = b[n:]
	}
	if start {
		r.flush(pid)
		if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[3]&0xf0 != 0xe0 { // no picture
			return
		}
		n := 9 + int(b[8])
		if n > len(b) {
			return
		}
		r.pes[pid] = append([]byte(nil), b[n:]...)
		return
	}
	if pes, open := r.pes[pid]; open && len(pes) < maxPES {
		r.pes[pid] = append(pes, b...)
	}
}

// flush hands out the picture that is complete.
func (r *tsReader) flush(pid int) {
	if pes, open := r.pes[pid]; open {
		splitAnnexB(pes, r.got)
		delete(r.pes, pid)
	}
}
