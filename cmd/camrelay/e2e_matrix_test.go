package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// The matrix: every output of every kind of camera plays, for readers and sinks
// that are not ours, or is refused with a reason that a person sees.

// matrixColumns are the cameras: mounts of gstcams.py, and what they send.
func matrixColumns() [][2]string {
	return [][2]string{
		{"h264", "H.264 + AAC"},
		{"bframes", "H.264 B-frames"},
		{"h265", "H.265 + AAC"},
		{"video", "video only"},
		{"pcma", "G.711"},
		{"opus", "Opus"},
		{"audio", "audio only"},
	}
}

// cells are those of one row, by column. A cell names the codecs that were
// decoded, or says "refused: " and why.
type cells [7]string

// but returns the cells with another one in a column.
func (c cells) but(column int, cell string) cells {
	c[column] = cell
	return c
}

// matrixRow is an output: how it is read, and what is to come of each camera.
type matrixRow struct {
	output string
	read   func(m *matrix, camera string) string
	want   cells
}

// matrixRows is the table of expectations: a new output is a line here.
func matrixRows() []matrixRow {
	const h265, g711, opus = 2, 4, 5
	const unasked = "refused: the camera's pictures cannot go by RTMP; H265 needs Enhanced RTMP, " +
		"which the other side does not offer"
	const unoffered = "refused: cannot publish: the server has not offered H.265 (Enhanced RTMP, hvc1): set the " +
		"camera or another of its streams to H.264, push by SRT, or set enhanced to force if the server is known " +
		"to take it"
	made := cells{"h264 aac", "h264 aac", "hevc aac", "h264", "h264 aac", "h264 opus", "aac"} // AAC of G.711
	sent := made.but(g711, "h264 pcm_alaw")
	flv := made.but(opus, "h264")
	return []matrixRow{
		{"RTSP TCP", rtspRow("tcp"), sent},
		{"RTSP UDP", rtspRow("udp"), sent},
		{"HLS index.m3u8", httpRow("/index.m3u8"), made},
		{"HLS hls.m3u8", httpRow("/hls.m3u8"), made},
		{"HLS ts.m3u8", httpRow("/ts.m3u8"), made},
		{"DASH", httpRow("/manifest.mpd"), made},
		{"HTTP-TS", httpRow("/mpegts"), made},
		{"HTTP-FLV", flvRow, flv},
		{"RTMP play", rtmpRow, flv.but(h265, unasked)},
		{"SRT play", srtRow, made},
		{"push RTMP", pushRow("rtmp"), flv.but(h265, unoffered)},
		{"push RTMPS", pushRow("rtmps"), flv.but(h265, unoffered)},
		{"push SRT", pushRow("srt"), made},
		{"push RTSP", recordRow, sent},
	}
}

// matrixReaders is how many cells are filled in at a time.
const matrixReaders = 4

// TestMatrix fills in the matrix and fails where a cell is not as expected.
func TestMatrix(t *testing.T) {
	m := startMatrix(t)
	rows, columns := matrixRows(), matrixColumns()
	got := make([]cells, len(rows))
	turns := make(chan struct{}, matrixReaders)
	var wg sync.WaitGroup
	for i, row := range rows {
		for k, camera := range columns {
			wg.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				got[i][k] = m.fill(row, camera[0], row.want[k])
			})
		}
	}
	wg.Wait()
	var table strings.Builder
	table.WriteString("\n| output |")
	for _, c := range columns {
		table.WriteString(" " + c[1] + " |")
	}
	table.WriteString("\n|" + strings.Repeat("---|", len(columns)+1))
	for i, row := range rows {
		fmt.Fprintf(&table, "\n| %s |", row.output)
		for _, cell := range got[i] {
			table.WriteString(" " + cell + " |")
		}
	}
	t.Log(table.String())
}

// matrixPatience is how long a cell may take to become what it should be.
const matrixPatience = 2 * time.Minute

// fill returns what comes out of one output of one camera. On a busy machine a
// reader may fail for want of time, so what is not as expected is read again.
func (m *matrix) fill(row matrixRow, camera, want string) (got string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.Now().Add(matrixPatience); ; <-tick.C {
		got = row.read(m, camera)
		switch {
		case got == want:
			return got
		case time.Now().After(end), m.t.Context().Err() != nil:
			m.t.Errorf("%s of %s: %q, want %q", row.output, camera, got, want)
			return got
		}
		m.t.Logf("%s of %s is read again: %q", row.output, camera, got)
	}
}
