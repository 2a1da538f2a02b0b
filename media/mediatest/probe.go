package mediatest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Probed is what ffprobe tells about an input.
type Probed struct {
	Streams []ProbedStream `json:"streams"`
	Packets []ProbedPacket `json:"packets"`
}

// ProbedStream is one stream of an input.
type ProbedStream struct {
	Index       int     `json:"index"`
	CodecName   string  `json:"codec_name"`
	CodecType   string  `json:"codec_type"`
	CodecTag    string  `json:"codec_tag_string"`
	Profile     string  `json:"profile"`
	Width       int     `json:"width"`
	Height      int     `json:"height"`
	SampleRate  string  `json:"sample_rate"`
	Channels    int     `json:"channels"`
	BFrames     int     `json:"has_b_frames"`
	FrameRate   string  `json:"r_frame_rate"`
	AverageRate string  `json:"avg_frame_rate"`
	Extradata   hexDump `json:"extradata"`
}

// ProbedPacket is one packet of an input, in the order of the file.
type ProbedPacket struct {
	Stream int    `json:"stream_index"`
	PTS    string `json:"pts_time"`
	DTS    string `json:"dts_time"`
	Flags  string `json:"flags"`
	Size   string `json:"size"` // bytes
	Pos    string `json:"pos"`  // offset in the file, if it is one
}

// Key tells whether the packet is marked as a key frame.
func (p *ProbedPacket) Key() bool { return strings.HasPrefix(p.Flags, "K") }

// Probe runs ffprobe with the arguments, the last of which is a file or a URL,
// and returns its streams and packets. It fails the test if ffprobe fails or
// has anything to complain about.
func Probe(tb testing.TB, args ...string) *Probed {
	tb.Helper()
	const entries = "stream:packet=stream_index,pts_time,dts_time,flags,size,pos"
	args = append([]string{"-v", "error", "-show_data", "-show_entries", entries, "-of", "json"}, args...)
	var p Probed
	if err := json.Unmarshal(run(tb, "ffprobe", args...), &p); err != nil {
		tb.Fatalf("cannot read what ffprobe prints: %v", err)
	}
	return &p
}

// Times returns the PTS of the packets of one type of stream, "video" or
// "audio", in the order of the input.
func (p *Probed) Times(tb testing.TB, kind string) []time.Duration {
	tb.Helper()
	var ts []time.Duration
	for _, pk := range p.Of(kind) {
		ts = append(ts, seconds(tb, pk.PTS))
	}
	return ts
}

// Of returns the packets of one type of stream.
func (p *Probed) Of(kind string) []ProbedPacket {
	var out []ProbedPacket
	for _, pk := range p.Packets {
		if pk.Stream < len(p.Streams) && p.Streams[pk.Stream].CodecType == kind {
			out = append(out, pk)
		}
	}
	return out
}

// Stream returns the first stream of one type, nil if there is none.
func (p *Probed) Stream(kind string) *ProbedStream {
	for i := range p.Streams {
		if p.Streams[i].CodecType == kind {
			return &p.Streams[i]
		}
	}
	return nil
}

// Decodes decodes all streams of an input with ffmpeg and fails the test
// unless that ends well with nothing printed. The arguments end with the file
// or URL; options before it are those of the input.
func Decodes(tb testing.TB, args ...string) {
	tb.Helper()
	if err := Decode(tb.Context(), args...); err != nil {
		tb.Fatal(err)
	}
}

// Decode is Decodes for a test that goes on with the error.
func Decode(ctx context.Context, args ...string) error {
	args = append([]string{"-nostdin", "-v", "error"}, args...)
	i := len(args) - 1
	args = append(args[:i:i], "-i", args[i], "-map", "0", "-f", "null", "-")
	_, err := printed(ctx, "ffmpeg", args...)
	return err
}

// run returns the standard output of a program that must print no error.
func run(tb testing.TB, name string, args ...string) []byte {
	tb.Helper()
	out, err := printed(tb.Context(), name, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// printed is run for those who go on with the error.
func printed(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil && stderr.Len() > 0 {
		err = errors.New("it prints errors")
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes(), nil
}

// hexDump is what ffprobe prints for bytes: lines of an address, eight groups
// of four digits and the bytes as text.
type hexDump []byte

// UnmarshalText parses the dump.
func (h *hexDump) UnmarshalText(b []byte) error {
	*h = nil
	for line := range strings.Lines(string(b)) {
		_, line, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		digits := strings.ReplaceAll(line[:min(len(line), 39)], " ", "")
		raw, err := hex.DecodeString(digits)
		if err != nil {
			return err
		}
		*h = append(*h, raw...)
	}
	return nil
}
