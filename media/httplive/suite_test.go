package httplive

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func TestSuite(t *testing.T) {
	for path, read := range map[string]func(io.Reader, func(mediatest.Received)) error{
		"/gate/mpegts": mediatest.ReadTS, "/gate.flv": readFLV,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			mediatest.Suite{
				Kind: mediatest.H264B,
				Start: func(ctx context.Context, s *hub.Stream, got func(mediatest.Received)) error {
					return watch(ctx, t, s, path, func(r io.Reader) error { return read(r, got) })
				},
				Stall: func(ctx context.Context, s *hub.Stream) error {
					return watch(ctx, t, s, path, func(io.Reader) error { <-ctx.Done(); return nil })
				},
			}.Run(t)
		})
	}
}

// watch is a viewer of s until ctx is done or the body ends.
func watch(ctx context.Context, t *testing.T, s *hub.Stream, path string, read func(io.Reader) error) error {
	site := newOpenSite(t, Config{}, s)
	defer site.server.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, site.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return read(resp.Body)
}

// tag is a tag of an FLV file.
type tag struct {
	kind byte
	ts   uint32
	body []byte
}

// readTags passes on the tags of an FLV file.
func readTags(r io.Reader, got func(tag)) error {
	b := bufio.NewReader(r)
	var head [13]byte
	if _, err := io.ReadFull(b, head[:]); err != nil {
		return err
	}
	if string(head[:3]) != "FLV" {
		return errors.New("no FLV")
	}
	for {
		var h [11]byte
		if _, err := io.ReadFull(b, h[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(h[0:]) & 0xffffff)
		body := make([]byte, n+4)
		if _, err := io.ReadFull(b, body); err != nil {
			return err
		}
		if size := binary.BigEndian.Uint32(body[n:]); size != uint32(n+11) {
			return fmt.Errorf("a tag of %d bytes says %d", n+11, size)
		}
		got(tag{h[0], binary.BigEndian.Uint32(h[4:])>>8 | uint32(h[7])<<24, body[:n]})
	}
}

// readFLV passes on the frames of H.264 and AAC.
func readFLV(r io.Reader, got func(mediatest.Received)) error {
	var sps []byte
	return readTags(r, func(g tag) {
		at := time.Duration(g.ts) * time.Millisecond
		switch {
		case g.kind == 9 && g.body[1] == 0:
			n := int(binary.BigEndian.Uint16(g.body[5+6:]))
			sps = g.body[5+8 : 5+8+n][1:]
		case g.kind == 9:
			cts := time.Duration(binary.BigEndian.Uint32(g.body[1:])&0xffffff) * time.Millisecond
			f := mediatest.Received{Kind: media.KindVideo, Key: g.body[0]>>4 == 1, PTS: at + cts}
			if f.Key {
				f.SPS = sps
			}
			got(f)
		case g.kind == 8 && g.body[1] == 1:
			got(mediatest.Received{Kind: media.KindAudio, PTS: at})
		}
	})
}

// TestEnhancedFLV reads H.265 out of FLV as Enhanced RTMP describes it, and
// has FFmpeg decode it.
func TestEnhancedFLV(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H265AAC, mediatest.H265B} {
		t.Run(string(kind), func(t *testing.T) {
			s, clip := clipSite(t, Config{}, kind)
			var stream []byte
			units := s.reading(clip, 4*time.Second, func() {
				err := watchURL(t, s.url+"/gate/live.flv", func(r io.Reader) error {
					return readTags(r, func(g tag) { stream = appendHEVC(stream, g) })
				})
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
			})
			path := filepath.Join(t.TempDir(), "out.h265")
			if err := os.WriteFile(path, stream, 0o600); err != nil {
				t.Fatal(err)
			}
			mediatest.Decodes(t, path)
			got, want := len(mediatest.Probe(t, path).Packets), count(units, media.KindVideo)
			if got > want || got < want-15 {
				t.Errorf("%d pictures, want %d", got, want)
			}
		})
	}
}

// appendHEVC appends what a tag has for a decoder as a byte stream.
func appendHEVC(out []byte, g tag) []byte {
	if g.kind != 9 {
		return out
	}
	b := g.body[5:]
	switch g.body[0] & 0x8f {
	case 0x80: // sequence header: the three arrays of the record, of one set each
		for b = b[23:]; len(b) > 0; {
			n := int(binary.BigEndian.Uint16(b[3:]))
			out = slices.Concat(out, []byte{0, 0, 0, 1}, b[5:5+n])
			b = b[5+n:]
		}
		return out
	case 0x81:
		b = b[3:]
	}
	for len(b) > 0 {
		n := int(binary.BigEndian.Uint32(b))
		out = slices.Concat(out, []byte{0, 0, 0, 1}, b[4:4+n])
		b = b[4+n:]
	}
	return out
}
