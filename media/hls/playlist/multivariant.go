package playlist

import "strconv"

// Multivariant is a multivariant playlist.
type Multivariant struct {
	Independent bool // every segment of every variant begins with a key frame
	Variants    []Variant
}

// Variant is one variant stream.
type Variant struct {
	URI           string
	Bandwidth     int     // bit/s, peak over the segments
	Average       int     // bit/s, over the segments
	Codecs        string  // RFC 6381, separated by commas
	Width, Height int     // pixels, 0 without video
	FrameRate     float64 // pictures per second, 0 if not known
}

// Text returns the text of the playlist.
func (m *Multivariant) Text() []byte {
	t := &Text{}
	t.head(version, m.Independent)
	for _, v := range m.Variants {
		t.put("#EXT-X-STREAM-INF:BANDWIDTH=", strconv.Itoa(v.Bandwidth), ",AVERAGE-BANDWIDTH=", strconv.Itoa(v.Average))
		t.put(`,CODECS="`, v.Codecs, `"`)
		if v.Width > 0 && v.Height > 0 {
			t.put(",RESOLUTION=", strconv.Itoa(v.Width), "x", strconv.Itoa(v.Height))
		}
		if v.FrameRate > 0 {
			t.put(",FRAME-RATE=", strconv.FormatFloat(v.FrameRate, 'f', 3, 64))
		}
		t.put("\n", v.URI, "\n")
	}
	return t.text
}
