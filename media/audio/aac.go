//go:build cgo

package audio

/*
// aac-go's own calls go through one handle for the whole process, so two
// cameras would write into one encoder. These are the functions of the library
// that it compiles in, by the prototypes of voAAC.h. They are weak because cgo
// links this file once by itself.

struct buffer { unsigned char *bytes; unsigned long length; long long time; };
struct param { int rate, bitrate; short channels, adts; };

extern unsigned long voAACEncInit(void **, int, void *) __attribute__((weak));
extern unsigned long voAACEncSetParam(void *, long, void *) __attribute__((weak));
extern unsigned long voAACEncSetInputData(void *, struct buffer *) __attribute__((weak));
extern unsigned long voAACEncGetOutputData(void *, struct buffer *, void *) __attribute__((weak));
extern unsigned long voAACEncUninit(void *) __attribute__((weak));

#define PARAMETERS 0x42211040

static void *open_encoder(int rate, int channels, int bitrate) {
	void *h = 0;
	struct param p = {rate, bitrate, channels, 0};
	if (!voAACEncInit || voAACEncInit(&h, 0, 0)) return 0;
	if (voAACEncSetParam(h, PARAMETERS, &p)) {
		voAACEncUninit(h);
		return 0;
	}
	return h;
}

// encode takes one block of samples, of n bytes, and returns the size of its
// frame in out; 0 if that failed.
static unsigned long encode(void *h, void *samples, unsigned long n, void *out, unsigned long size) {
	struct buffer in = {samples, n, 0}, frame = {out, size, 0};
	if (voAACEncSetInputData(h, &in) || voAACEncGetOutputData(h, &frame, 0)) return 0;
	return frame.length;
}

static void close_encoder(void *h) { voAACEncUninit(h); }
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"

	_ "github.com/gen2brain/aac-go/aacenc" // the library itself
)

// built tells whether there is an encoder in this build.
const built = true

// maxEncoded is the largest frame of two channels that there may be (ISO
// 14496-3 §4.5.3.1), with room for the words that the encoder writes.
const maxEncoded = 2048

// aacEncoder makes AAC-LC of 48 kHz. It belongs to one goroutine.
type aacEncoder struct {
	handle   unsafe.Pointer
	channels int
	out      [maxEncoded]byte
}

// newEncoder returns an encoder for one or two channels. The caller closes it.
func newEncoder(channels int) (encoder, error) {
	bitrate := monoBitrate
	if channels == 2 {
		bitrate = stereoBitrate
	}
	h := C.open_encoder(rate, C.int(channels), C.int(bitrate))
	if h == nil {
		return nil, errors.New("cannot open the AAC encoder")
	}
	return &aacEncoder{handle: h, channels: channels}, nil
}

// encode implements encoder.
func (e *aacEncoder) encode(samples []int16) ([]byte, error) {
	if len(samples) != block*e.channels {
		panic("audio: internal error: not a block of samples")
	}
	n := C.encode(e.handle, unsafe.Pointer(&samples[0]), C.ulong(2*len(samples)), unsafe.Pointer(&e.out), maxEncoded)
	runtime.KeepAlive(e)
	if n == 0 || n > maxEncoded {
		return nil, errors.New("the AAC encoder failed")
	}
	return append([]byte(nil), e.out[:n]...), nil
}

// close implements encoder.
func (e *aacEncoder) close() { C.close_encoder(e.handle) }
