package depay

import (
	"testing"

	"camrelay/media"
)

func TestPeek(t *testing.T) {
	const h264, h265 = media.CodecH264, media.CodecH265
	for _, tc := range []struct {
		name    string
		codec   media.Codec
		payload string
		want    Info
		params  int
	}{
		{"parameter set", h264, sps, Info{Params: true}, 1},
		{"first slice of a key picture", h264, idr, Info{Start: true, Key: true}, 0},
		{"later slice of a key picture", h264, idr2, Info{Key: true}, 0},
		{"first slice", h264, p1, Info{Start: true}, 0},
		{"later slice", h264, p1b, Info{}, 0},
		{"STAP-A with everything", h264, stap(sps, pps, sei, idr), Info{Start: true, Key: true, Params: true}, 2},
		{"STAP-A that is cut", h264, stap(sps) + "\x00\x09\x68", Info{Params: true}, 1},
		{"FU-A, beginning of a key picture", h264, "\x7c\x85\x88i", Info{Start: true, Key: true}, 0},
		{"FU-A, beginning of a later slice", h264, "\x7c\x85\x48i", Info{Key: true}, 0},
		{"FU-A, middle", h264, "\x7c\x05\x88i", Info{Key: true}, 0},
		{"FU-A without data", h264, "\x7c\x85", Info{}, 0},
		{"nothing", h264, "", Info{}, 0},
		{"H.265 parameter set", h265, "\x42\x01s", Info{Params: true}, 1},
		{"H.265 CRA", h265, "\x2a\x01\x80c", Info{Start: true, Key: true}, 0},
		{"H.265 trailing picture", h265, "\x02\x01\x80c", Info{Start: true}, 0},
		{"H.265 AP", h265, "\x60\x01\x00\x03\x40\x01v\x00\x04\x26\x01\x80i", Info{Start: true, Key: true, Params: true}, 1},
		{"H.265 FU, beginning of a key picture", h265, "\x62\x01\x93\x80i", Info{Start: true, Key: true}, 0},
		{"H.265 FU, end", h265, "\x62\x01\x53\x80i", Info{Key: true}, 0},
		{"audio", media.CodecAAC, au("x"), Info{}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := wire([]sent{{ts: 1, payload: tc.payload}})[0]
			if got := Peek(tc.codec, p); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if got := Params(tc.codec, p, nil); len(got) != tc.params {
				t.Errorf("%d parameter sets, want %d", len(got), tc.params)
			}
		})
	}
}

func TestParseRTP(t *testing.T) {
	for _, tc := range []struct {
		name, packet, payload string
		fails                 bool
	}{
		{name: "plain", packet: "\x80\x600000000000ab", payload: "ab"},
		{name: "two contributing sources", packet: "\x82\x60000000000012345678ab", payload: "ab"},
		{name: "header extension", packet: "\x90\x600000000000\xbe\xde\x00\x011234ab", payload: "ab"},
		{name: "padding", packet: "\xa0\x600000000000ab\x00\x00\x03", payload: "ab"},
		{name: "padding only", packet: "\xa0\x600000000000\x00\x00\x03", payload: ""},
		{name: "padding longer than the payload", packet: "\xa0\x600000000000ab\x09", fails: true},
		{name: "extension longer than the packet", packet: "\x90\x600000000000\xbe\xde\x00\x091234ab", fails: true},
		{name: "version 1", packet: "\x40\x600000000000ab", fails: true},
		{name: "short", packet: "\x80\x60000000000", fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, p, err := parse([]byte(tc.packet))
			if (err != nil) != tc.fails || string(p) != tc.payload {
				t.Errorf("got %q, %v", p, err)
			}
		})
	}
}
