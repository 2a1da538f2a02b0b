package rtmp

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

// tagsOf returns what a muxer makes of one picture of the given NAL units.
func tagsOf(nals ...[]byte) []flv.Tag {
	track := &media.Track{
		Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{0x67, 66, 0, 30}, PPS: []byte{0x68, 1},
	}
	m := flv.New(flv.Config{Video: track})
	return m.Tags(&media.Unit{Track: track, Key: true, Data: nals}, nil)
}

// checkBatch writes tags and compares what a server reads.
func checkBatch(t *testing.T, b *batch, tags []flv.Tag) {
	t.Helper()
	units := 0
	for i := range tags {
		b.add(&tags[i])
		if !tags[i].Header {
			units++
		}
	}
	bufs := b.buffers()
	size := 0
	var all []byte
	for _, p := range bufs {
		size += len(p)
		all = append(all, p...)
	}
	if size != b.size || units != b.units {
		t.Fatalf("counts %d bytes and %d units, wrote %d and %d", b.size, b.units, size, units)
	}
	w := newWire(bytes.NewReader(all))
	w.size = chunkSize
	for i := range tags {
		want := tags[i].AppendBody(nil)
		if tags[i].Type == flv.Script {
			want = append(flv.AppendScript(nil, b.script), want...)
		}
		m, err := w.next()
		if err != nil || m.kind != byte(tags[i].Type) || m.ts != tags[i].Timestamp || m.stream != b.stream {
			t.Fatalf("message %d: type %d at %d ms on stream %d, %v", i, m.kind, m.ts, m.stream, err)
		}
		if !bytes.Equal(m.body, want) {
			t.Fatalf("message %d holds %d bytes, want %d", i, len(m.body), len(want))
		}
	}
	if _, err := w.next(); err != io.EOF { // the very value
		t.Fatalf("something follows: %v", err)
	}
	b.reset()
}

func TestAMessageReadsBack(t *testing.T) {
	nal := func(n int) []byte { return append([]byte{0x65}, bytes.Repeat([]byte{0xab}, n-1)...) }
	const head = 5 + 4 // of the tag, length of the first unit
	for name, nals := range map[string][][]byte{
		"short":                                 {nal(10)},
		"one chunk to the byte":                 {nal(chunkSize - head)},
		"one byte more than a chunk":            {nal(chunkSize - head + 1)},
		"four chunks":                           {nal(chunkSize * 3), nal(chunkSize / 2)},
		"a length that begins at a chunk's end": {nal(chunkSize - head), nal(700)},
		"a length across the border of chunks":  {nal(chunkSize - head - 2), nal(5000)},
		"many short units":                      {nal(3), nal(4), nal(2000), nal(5), nal(1023), nal(1024)},
	} {
		for _, copies := range []int{0, worthCopying, 1 << 30} {
			t.Run(fmt.Sprintf("%s, copies below %d", name, copies), func(t *testing.T) {
				b := &batch{stream: 9, script: setDataFrame, copies: copies}
				tags := tagsOf(nals...)
				checkBatch(t, b, tags)
				for _, ts := range []uint32{noTimestamp - 1, noTimestamp, 1<<32 - 1} {
					for i := range tags {
						tags[i].Timestamp = ts
					}
					checkBatch(t, b, tags)
				}
			})
		}
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte{0x65, 1, 2, 3}, uint32(40), 1, 3)
	f.Add([]byte{0x41, 0xff}, uint32(1<<24), 40000, 2)
	f.Fuzz(func(t *testing.T, nal []byte, ts uint32, repeat, count int) {
		nal = bytes.Repeat(nal, min(max(repeat, 0), 1<<17/max(1, len(nal))))
		nals := make([][]byte, min(max(count, 0), 20))
		for i := range nals {
			nals[i] = nal[:len(nal)*(i+1)/len(nals)]
		}
		tags := tagsOf(nals...)
		for i := range tags {
			tags[i].Timestamp = ts
		}
		checkBatch(t, &batch{stream: ts, script: setDataFrame, copies: worthCopying}, tags)
	})
}

func BenchmarkBatch(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264Large)
	video, audio, _ := flv.Choose(clip.Tracks, 0)
	mux := flv.New(flv.Config{Video: video, Audio: audio})
	var tags []flv.Tag
	size := 0
	for _, u := range clip.Units(clip.Round()) {
		tags = mux.Tags(u, tags)
		size += u.Size()
	}
	for name, copies := range map[string]int{"vectors": worthCopying, "one buffer": 1 << 30} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size / len(tags)))
			b.ReportAllocs()
			w := &batch{stream: 1, copies: copies}
			n := 0
			for b.Loop() {
				w.add(&tags[n%len(tags)])
				if n++; n%2 == 0 {
					w.buffers()
					w.reset()
				}
			}
		})
	}
}
