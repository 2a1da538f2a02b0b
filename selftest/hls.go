package selftest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// hlsReader is a player of low-latency HLS that stays at the live edge. It is not
// a part of what it tests.
// Specification: RFC 8216bis.
type hlsReader struct {
	client *http.Client
	got    func(nal []byte)
}

// playHLS hands every NAL unit of the picture to got until ctx is done. It takes
// each part as soon as there is one.
func playHLS(ctx context.Context, master string, got func([]byte)) error {
	r := &hlsReader{&http.Client{Timeout: ioTimeout}, got}
	text, err := r.get(ctx, master)
	if err != nil {
		return err
	}
	variant := lastLine(string(text))
	if variant == "" {
		return errors.New("the multivariant playlist has no variant")
	}
	list, err := resolve(master, variant)
	if err != nil {
		return err
	}
	for loaded := ""; ; {
		if text, err = r.get(ctx, list); err != nil {
			return err
		}
		hint := attribute(string(text), "#EXT-X-PRELOAD-HINT:", "URI")
		if hint == "" || hint == loaded {
			return errors.New("the playlist has no hint of a new part")
		}
		part, err := resolve(list, hint)
		if err != nil {
			return err
		}
		body, err := r.get(ctx, part)
		if err != nil {
			return err
		}
		loaded = hint
		if err := pictures(body, got); err != nil {
			return err
		}
	}
}

const maxPart = 32 << 20

func (r *hlsReader) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxPart))
}

func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u, err := b.Parse(ref)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// lastLine returns the last URI of a playlist.
func lastLine(text string) (last string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			last = line
		}
	}
	return last
}

// attribute returns a quoted attribute of the last line with a tag.
func attribute(text, tag, name string) (value string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, tag); ok {
			_, after, _ := strings.Cut(rest, name+`="`)
			value, _, _ = strings.Cut(after, `"`)
		}
	}
	return value
}

var errBoxes = errors.New("malformed boxes")

// boxes calls f for each box of b.
// Specification: ISO/IEC 14496-12 §4.2.
func boxes(b []byte, f func(name string, at int, body []byte) error) error {
	for at := 0; at < len(b); {
		if len(b)-at < 8 {
			return errBoxes
		}
		n := int(binary.BigEndian.Uint32(b[at:]))
		if n < 8 || n > len(b)-at {
			return errBoxes
		}
		if err := f(string(b[at+4:at+8]), at, b[at+8:at+n]); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// pictures hands every NAL unit of the samples that are made of such to got.
func pictures(file []byte, got func([]byte)) error {
	found := false
	err := boxes(file, func(name string, moof int, body []byte) error {
		if name != "moof" {
			return nil
		}
		return boxes(body, func(name string, _ int, traf []byte) error {
			if name != "traf" {
				return nil
			}
			samples, err := samplesOf(traf, file[moof:])
			if err != nil {
				return err
			}
			nothing := func([]byte) {}
			for _, s := range samples {
				if !splitLengths(s, nothing) {
					return nil // sound
				}
			}
			for _, s := range samples {
				splitLengths(s, got)
				found = true
			}
			return nil
		})
	})
	if err == nil && !found {
		err = errors.New("a part has no picture")
	}
	return err
}

// samplesOf returns the samples of a track fragment; its offsets count from base.
func samplesOf(traf, base []byte) (all [][]byte, err error) {
	size := 0 // of every sample, unless it has its own
	err = boxes(traf, func(name string, _ int, b []byte) error {
		f := fields{b: b}
		flags := f.next()
		switch name {
		case "tfhd":
			f.next() // the track
			f.skip(flags, 0x01, 0x01, 0x02, 0x08)
			if flags&0x10 != 0 {
				size = int(f.next())
			}
		case "trun":
			if all, err = f.run(flags, size, base); err != nil {
				return err
			}
		}
		if f.short {
			return errBoxes
		}
		return nil
	})
	return all, err
}

// run reads the samples of a run, which are of one size unless they have their own.
func (f *fields) run(flags uint32, size int, base []byte) (all [][]byte, err error) {
	n, at := int(f.next()), int(f.next()) // our muxer always has the offset
	f.skip(flags, 0x04)
	if flags&0x01 == 0 || n > len(base) {
		return nil, errBoxes
	}
	for range n {
		f.skip(flags, 0x100)
		length := size
		if flags&0x200 != 0 {
			length = int(f.next())
		}
		f.skip(flags, 0x400, 0x800)
		if at > len(base) || length > len(base)-at {
			return nil, errBoxes
		}
		all = append(all, base[at:at+length])
		at += length
	}
	return all, nil
}

// fields reads numbers of 32 bits.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) next() uint32 {
	if len(f.b) < 4 {
		f.short = true
		return 0
	}
	n := binary.BigEndian.Uint32(f.b)
	f.b = f.b[4:]
	return n
}

// skip leaves out one number for each of the flags that is set.
func (f *fields) skip(flags uint32, which ...uint32) {
	for _, w := range which {
		if flags&w != 0 {
			f.next()
		}
	}
}
