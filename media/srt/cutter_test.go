package srt

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"camrelay/media/mpegts"
)

func TestCutterKeepsEveryByteInOrder(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var c cutter
		var in, out []byte
		take := func(msg []byte) error {
			if len(msg) != payload {
				t.Fatalf("a message of %d bytes", len(msg))
			}
			out = append(out, msg...)
			return nil
		}
		for range 50 {
			b := make([]byte, rnd.IntN(30)*mpegts.PacketSize)
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			before := bytes.Clone(b)
			if err := c.cut(b, take); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, before) {
				t.Fatal("the chunk, which others read, was changed")
			}
			in = append(in, b...)
		}
		if err := c.pad(take); err != nil || len(c.rest) > 0 {
			t.Fatalf("%d bytes are left, %v", len(c.rest), err)
		}
		if !bytes.HasPrefix(out, in) {
			t.Fatal("bytes are missing or changed")
		}
		for fill := out[len(in):]; len(fill) > 0; fill = fill[mpegts.PacketSize:] {
			if !bytes.HasPrefix(fill, []byte{0x47, 0x1f, 0xff}) {
				t.Fatal("padding is no null packet")
			}
		}
		if n := len(out) - len(in); n >= payload {
			t.Fatalf("%d bytes of padding", n)
		}
	}
}

func TestCutterPadsNothingWithNothing(t *testing.T) {
	var c cutter
	if err := c.pad(func([]byte) error { return errors.New("sent") }); err != nil {
		t.Error(err)
	}
}

func TestCutterStopsAtAnError(t *testing.T) {
	var c cutter
	calls, want := 0, errors.New("full")
	err := c.cut(make([]byte, 3*payload), func([]byte) error { calls++; return want })
	if !errors.Is(err, want) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
