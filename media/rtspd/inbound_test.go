package rtspd

import (
	"bytes"
	"testing"

	"camrelay/media"
)

func TestFramesAreTakenOutOfWhatAClientSends(t *testing.T) {
	frame := string(media.AppendWire(nil, 1, []byte("PLAY $\r\n\r\n")))
	const body = "A B\r\ncontent-length: 3\r\n\r\n$$$"
	const request = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	for name, tc := range map[string]struct{ in, want string }{
		"a request alone":              {request, request},
		"a frame alone":                {frame, ""},
		"an empty frame":               {"$\x01\x00\x00A B\r\n\r\n", "A B\r\n\r\n"},
		"frames around requests":       {frame + request + frame + frame + request + frame, request + request},
		"a dollar inside a head":       {"A $\r\n$: $\r\n\r\n" + frame, "A $\r\n$: $\r\n\r\n"},
		"a dollar inside a body":       {body + frame, body},
		"empty lines between messages": {"\r\n\r\n" + frame + "\r\nA B\r\n\r\n", "\r\n\r\n\r\nA B\r\n\r\n"},
		"a line longer than is read": {
			"A B\r\nX: " + string(make([]byte, 100)) + "\r\nContent-Length: 1\r\n\r\n$" + frame,
			"A B\r\nX: " + string(make([]byte, 100)) + "\r\nContent-Length: 1\r\n\r\n$",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size <= len(tc.in); size++ {
				if got := filter([]byte(tc.in), size); got != tc.want {
					t.Fatalf("in pieces of %d: %q, want %q", size, got, tc.want)
				}
			}
		})
	}
}

// filter returns what is left of b when it is read in pieces.
func filter(b []byte, size int) string {
	var in inbound
	var out []byte
	for len(b) > 0 {
		piece := bytes.Clone(b[:min(size, len(b))])
		b = b[len(piece):]
		out = append(out, piece[:in.requests(piece)]...)
	}
	return string(out)
}

func FuzzInbound(f *testing.F) {
	f.Add([]byte("A B\r\nContent-Length: 3\r\n\r\n$$$$\x01\x00\x02xxC D\r\n\r\n"), uint8(3))
	f.Add([]byte("$\x00\xff\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		whole := filter(b, len(b)+1)
		if pieces := filter(b, int(size)+1); pieces != whole {
			t.Errorf("in pieces of %d: %q, at once: %q", int(size)+1, pieces, whole)
		}
		if len(whole) > len(b) || !bytes.Contains(b, []byte("$")) && whole != string(b) {
			t.Errorf("%q became %q", b, whole)
		}
	})
}
