package depay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmjpeg"
)

// drawn returns a picture and its RTP packets.
func drawn(tb testing.TB, w, h, payload int) (picture []byte, packets [][]byte) {
	tb.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x * y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		tb.Fatal(err)
	}
	ssrc, seq := uint32(1), uint16(65530)
	e := rtpmjpeg.Encoder{SSRC: &ssrc, InitialSequenceNumber: &seq, PayloadMaxSize: payload}
	if err := e.Init(); err != nil {
		tb.Fatal(err)
	}
	pkts, err := e.Encode(b.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range pkts {
		raw, err := p.Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		packets = append(packets, raw)
	}
	return b.Bytes(), packets
}

// gathered returns the pictures that packets complete, and the packets refused.
func gathered(packets [][]byte) (pictures [][]byte, refused int) {
	var j JPEG
	for _, p := range packets {
		before := bytes.Clone(p)
		picture, err := j.Decode(p)
		if err != nil {
			refused++
		}
		if picture != nil {
			pictures = append(pictures, picture)
		}
		if !bytes.Equal(p, before) {
			panic("a packet was written to")
		}
	}
	return pictures, refused
}

// same fails unless a and b show the same.
func same(t *testing.T, a, b []byte) {
	t.Helper()
	x, err := jpeg.Decode(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	y, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if x.Bounds() != y.Bounds() || !slices.Equal(x.(*image.YCbCr).Y, y.(*image.YCbCr).Y) {
		t.Errorf("%v shows something else than %v", x.Bounds(), y.Bounds())
	}
}

// renumber makes packets follow one another from seq on.
func renumber(packets [][]byte, seq uint16) [][]byte {
	var out [][]byte
	for i, p := range packets {
		p = bytes.Clone(p)
		binary.BigEndian.PutUint16(p[2:], seq+uint16(i))
		out = append(out, p)
	}
	return out
}

func TestJPEG(t *testing.T) {
	picture, packets := drawn(t, 320, 240, 500)
	if len(packets) < 5 {
		t.Fatalf("%d packets", len(packets))
	}
	const at = 12 // of the payload
	restarts := func(p []byte) []byte {
		q := slices.Insert(bytes.Clone(p), at+8, 0xff, 0xfe, 0xff, 0xff) // an interval that no picture is as long as
		q[at+4] += 64
		return q
	}
	cached := func(p []byte, q byte) []byte {
		p = bytes.Clone(p)
		p[at+5] = q
		return p
	}
	bare := func(p []byte) []byte { // the first packet without its tables
		p = cached(p, 200)
		n := int(binary.BigEndian.Uint16(p[at+10:]))
		p[at+10], p[at+11] = 0, 0
		return slices.Delete(p, at+12, at+12+n)
	}
	var withRestarts, first, second [][]byte
	for i, p := range packets {
		withRestarts = append(withRestarts, restarts(p))
		first = append(first, cached(p, 200))
		if i == 0 {
			second = append(second, bare(p))
		} else {
			second = append(second, cached(p, 200))
		}
	}
	for _, tc := range []struct {
		name     string
		packets  [][]byte
		pictures int
		refused  int
	}{
		{"one picture", packets, 1, 0},
		{"two", slices.Concat(packets, packets), 2, 0},
		{"the first packet is missing", packets[1:], 0, 0},
		{"the last packet is missing, then one that is whole", slices.Concat(packets[:len(packets)-1], packets), 1, 0},
		{"a packet in the middle is missing", slices.Delete(slices.Clone(packets), 2, 3), 0, 0},
		{"a packet comes twice", slices.Insert(slices.Clone(packets), 2, packets[2]), 0, 0},
		{"restart intervals", withRestarts, 1, 0},
		{"tables that were sent before", slices.Concat(first, second), 2, 0},
		{"tables that were never sent", second, 0, 1},
		{"no JPEG at all", [][]byte{packets[0][:14], {1, 2, 3}}, 0, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := tc.packets
			if tc.pictures > 1 {
				in = renumber(in, 100)
			}
			got, refused := gathered(in)
			if len(got) != tc.pictures || refused != tc.refused {
				t.Fatalf("%d pictures, %d packets refused", len(got), refused)
			}
			for _, p := range got {
				same(t, p, picture)
			}
		})
	}
}

// TestJPEGOfOthers takes what FFmpeg and GStreamer send.
func TestJPEGOfOthers(t *testing.T) {
	for name, command := range map[string]string{
		"FFmpeg": "ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=640x480:r=25:d=0.4 -c:v mjpeg -huffman default " +
			"-pix_fmt yuvj420p -f rtp rtp://127.0.0.1:%d",
		"GStreamer": "gst-launch-1.0 -q videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=640,height=480 ! " +
			"jpegenc ! rtpjpegpay ! udpsink host=127.0.0.1 port=%d",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetReadBuffer(4 << 20); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			words := strings.Fields(fmt.Sprintf(command, c.LocalAddr().(*net.UDPAddr).Port))
			cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			var j JPEG
			for pictures := 0; pictures < 10; {
				b := make([]byte, 2048)
				n, err := c.Read(b)
				if err != nil {
					t.Fatalf("%d pictures: %v", pictures, err)
				}
				picture, err := j.Decode(b[:n])
				if err != nil {
					t.Fatal(err)
				}
				if picture == nil {
					continue
				}
				pictures++
				img, err := jpeg.Decode(bytes.NewReader(picture))
				if err != nil || img.Bounds() != image.Rect(0, 0, 640, 480) {
					t.Fatalf("picture %d: %v", pictures, err)
				}
			}
		})
	}
}

func FuzzJPEG(f *testing.F) {
	_, packets := drawn(f, 32, 32, 200)
	var in []sent
	for _, p := range packets {
		in = append(in, sent{payload: string(p[12:]), marker: p[1]&0x80 != 0})
	}
	f.Add(pack(in))
	f.Add(pack([]sent{{payload: "\x00\x00\x00\x00\x41\xff\x04\x04\x00\x01\xff\xff\x00\x00\x00\x40\x01", marker: true}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var j JPEG
		for _, p := range unpack(b) {
			before := bytes.Clone(p)
			picture, err := j.Decode(p)
			if err != nil && picture != nil {
				t.Fatal("a picture and an error")
			}
			if picture != nil && !bytes.HasPrefix(picture, []byte{0xff, 0xd8, 0xff}) {
				t.Fatalf("a picture that begins with %x", picture[:3])
			}
			if !bytes.Equal(p, before) {
				t.Fatal("a packet was written to")
			}
			if len(j.tables) > 128 || j.size > maxSize+1<<16 {
				t.Fatal("over the limits")
			}
		}
	})
}
