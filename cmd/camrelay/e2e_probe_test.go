package main

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// probed is what ffprobe says of a file or stream.
type probed struct {
	Streams []struct {
		Index     int    `json:"index"`
		CodecType string `json:"codec_type"`
		CodecName string `json:"codec_name"`
	} `json:"streams"`
	Packets []struct {
		Stream   int    `json:"stream_index"`
		PTS      string `json:"pts_time"`
		DTS      string `json:"dts_time"`
		Duration string `json:"duration_time"`
		Flags    string `json:"flags"`
	} `json:"packets"`
}

// probe demuxes the input to its end with ffprobe.
func probe(t testing.TB, limit time.Duration, args ...string) probed {
	t.Helper()
	full := append([]string{"-v", "error", "-of", "json", "-show_streams", "-show_packets"}, args...)
	out, errs, err := tool(t, limit, "ffprobe", full...)
	if err != nil {
		t.Fatalf("ffprobe %v: %v\n%s", args, err, errs)
	}
	var p probed
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("ffprobe %v: %v", args, err)
	}
	return p
}

// times returns the presentation times of one kind of stream, in order of
// decoding, in seconds.
func (p probed) times(t testing.TB, kind string) []float64 {
	t.Helper()
	var all []float64
	for _, k := range p.Packets {
		if p.Streams[k.Stream].CodecType != kind {
			continue
		}
		at, err := strconv.ParseFloat(k.PTS, 64)
		if err != nil {
			t.Fatalf("packet without a time stamp: %+v", k)
		}
		all = append(all, at)
	}
	return all
}

// decode decodes the input to its end with ffmpeg and fails on any complaint.
// It returns the number of pictures.
func decode(t testing.TB, limit time.Duration, args ...string) int {
	t.Helper()
	full := append([]string{"-nostdin", "-v", "error", "-xerror", "-progress", "pipe:1"}, args...)
	full = append(full, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-")
	out, errs, err := tool(t, limit, "ffmpeg", full...)
	if err != nil || errs != "" {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, errs)
	}
	return lastInt(out, "frame=")
}

// lastInt returns the number after the last occurrence of key in ffmpeg's
// progress report.
func lastInt(report, key string) int {
	n := 0
	for line := range lines(report) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			if v, err := strconv.Atoi(rest); err == nil {
				n = v
			}
		}
	}
	return n
}

// checkSteady fails unless the times rise by the interval throughout, give or
// take tolerance: nothing is missing, nothing is there twice.
func checkSteady(t testing.TB, what string, sorted []float64, interval, tolerance float64) {
	t.Helper()
	for i := 1; i < len(sorted); i++ {
		if d := sorted[i] - sorted[i-1]; math.Abs(d-interval) > tolerance {
			t.Errorf("%s: step of %.4f s at %.3f s (entry %d of %d), want %.4f ± %.4f",
				what, d, sorted[i-1], i, len(sorted), interval, tolerance)
			return
		}
	}
	if len(sorted) < 2 {
		t.Errorf("%s: only %d entries", what, len(sorted))
	}
}
