package testcam

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// firstPicture is the number of some picture of November 2025.
const firstPicture = 44_090_000_000

// show draws and encodes picture n as an Annex B byte stream.
func show(s *scene, e *encoder, n int64, key bool) []byte {
	s.draw(n, time.Unix(0, 0).Add(time.Duration(n)*time.Second/time.Duration(s.fps)))
	var b []byte
	if key {
		b = append(append(b, 0, 0, 0, 1), e.sps...)
		b = append(append(b, 0, 0, 0, 1), e.pps...)
	}
	return append(append(b, 0, 0, 0, 1), e.encode(s.canvas, key)...)
}

// visible returns the planes of a canvas without what is cropped.
func visible(c *canvas, height int) []byte {
	b := append([]byte(nil), c.y[:c.w*height]...)
	b = append(b, c.cb[:c.w*height/4]...)
	return append(b, c.cr[:c.w*height/4]...)
}

// A decoder that we did not write returns the very samples that were drawn.
func TestFFmpegDecodesEverySampleAsDrawn(t *testing.T) {
	for _, height := range []int{180, 360, 720, 1080} {
		t.Run(fmt.Sprint(height), func(t *testing.T) {
			t.Parallel()
			s, e := newScene("Front gate", height, 25), newEncoder(height*16/9, height, 25)
			var stream, want bytes.Buffer
			const pictures, gop = 18, 8
			for i := range int64(pictures) {
				stream.Write(show(s, e, firstPicture+i, i%gop == 0))
				want.Write(visible(s.canvas, height))
			}
			cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode",
				"-f", "h264", "-i", "pipe:", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:")
			cmd.Stdin = &stream
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			got, err := cmd.Output()
			if err != nil || complaints.Len() > 0 {
				t.Fatalf("ffmpeg: %v\n%s", err, &complaints)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("%d bytes decoded, %d drawn, and they differ", len(got), want.Len())
			}
			frame := len(got) / pictures
			for i := range pictures {
				n, ok := ReadNumber(got[i*frame:], height*16/9, height)
				if want := uint32((firstPicture + int64(i)) & 0xFFFFFFFF); !ok || n != want {
					t.Fatalf("picture %d reads %d, %v; want %d", i, n, ok, want)
				}
			}
		})
	}
}

func TestParameterSetsTellSizeRateAndOrder(t *testing.T) {
	for _, height := range []int{180, 360, 720, 1080} {
		var sps h264.SPS
		if err := sps.Unmarshal(sequenceParameters(height*16/9, height, 30)); err != nil {
			t.Fatal(err)
		}
		if sps.Width() != height*16/9 || sps.Height() != height || sps.FPS() != 30 {
			t.Errorf("SPS says %d×%d at %v, want height %d at 30", sps.Width(), sps.Height(), sps.FPS(), height)
		}
		if r := sps.VUI.BitstreamRestriction; r == nil || r.MaxNumReorderFrames != 0 {
			t.Errorf("SPS does not say that nothing is reordered: %+v", r)
		}
	}
}

// A number is wrong or absent, never invented.
func TestReadNumberRefusesWhatShowsNone(t *testing.T) {
	gray := bytes.Repeat([]byte{128}, 640*360)
	for name, read := range map[string]func() (uint32, bool){
		"gray":      func() (uint32, bool) { return ReadNumber(gray, 640, 360) },
		"too short": func() (uint32, bool) { return ReadNumber(gray[:1000], 640, 360) },
		"too small": func() (uint32, bool) { return ReadNumber(gray, 20, 20) },
	} {
		if n, ok := read(); ok {
			t.Errorf("%s: read %d", name, n)
		}
	}
}

func TestExpGolombAndEmulationPrevention(t *testing.T) {
	var w rbsp
	for _, v := range []int{0, 1, 2, 3, 25, 30} {
		w.ue(v)
	}
	for _, v := range []int{0, 1, -1, 2, -6} {
		w.se(v)
	}
	w.end()
	// 1 010 011 00100 000011010 000011111 1 010 011 00100 0001101, stop bit
	want := []byte{0b10100110, 0b01000000, 0b11010000, 0b01111110, 0b10011001, 0b00000110, 0b11000000}
	if !bytes.Equal(w.b, want) {
		t.Errorf("got %08b, want %08b", w.b, want)
	}
	nal := appendNAL(nil, 0x65, []byte{0, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 4})
	if want := []byte{0x65, 0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 3, 3, 0, 0, 4}; !bytes.Equal(nal, want) {
		t.Errorf("got %x, want %x", nal, want)
	}
}

// What a real camera of this size sends: an IDR of many packets, small
// pictures between, about the rate that DemoCameras promises.
func TestBitRatesAreThoseOfACamera(t *testing.T) {
	for _, row := range []struct{ height, low, high int }{{360, 400, 800}, {720, 1400, 2000}} {
		s, e := newScene("gate", row.height, 25), newEncoder(row.height*16/9, row.height, 25)
		bits := 0
		for i := range int64(250) {
			bits += 8 * len(show(s, e, firstPicture+i, i%50 == 0))
		}
		if kbit := bits / 10 / 1000; kbit < row.low || kbit > row.high {
			t.Errorf("%d lines: %d kbit/s, want %d to %d", row.height, kbit, row.low, row.high)
		}
	}
}

func BenchmarkPicture(b *testing.B) {
	for _, height := range []int{360, 720} {
		b.Run(fmt.Sprint(height), func(b *testing.B) {
			s, e := newScene("gate", height, 25), newEncoder(height*16/9, height, 25)
			b.ReportAllocs()
			for n := int64(firstPicture); b.Loop(); n++ {
				s.draw(n, time.Unix(n/25, n%25*4e7))
				b.SetBytes(int64(len(e.encode(s.canvas, n%50 == 0))))
			}
		})
	}
}
