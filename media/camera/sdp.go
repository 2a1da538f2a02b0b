package camera

import (
	"strconv"
	"strings"

	"camrelay/media"
)

// Bounds of what is taken from an SDP.
const (
	maxMedias  = 16
	maxFormats = 64
)

// section is one m= section of an SDP.
type section struct {
	kind     media.Kind // 0: none that is known
	payloads []uint8    // in order of preference
	rtpmap   map[uint8]string
	fmtp     map[uint8]string
	control  string
	off      bool // a back channel, or inactive
}

// parseSDP returns what an SDP says of media that can be received, and the
// control attribute of the whole. It takes it line by line: what it does not
// understand is skipped, and never takes anything else with it.
//
// Specification: RFC 8866; RFC 2326 §C.1
func parseSDP(body []byte) (control string, medias []section) {
	var cur *section
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if len(line) < 2 || line[1] != '=' {
			continue
		}
		switch value := strings.TrimSpace(line[2:]); line[0] {
		case 'm':
			medias = append(medias, newSection(value))
			cur = &medias[len(medias)-1]
		case 'a':
			key, v, _ := strings.Cut(value, ":")
			key, v = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(v)
			switch {
			case cur != nil:
				cur.attribute(key, v)
			case key == "control":
				control = v
			}
		}
	}
	return control, sound(medias)
}

// newSection reads an m= line: media port protocol payload types.
func newSection(line string) section {
	s := section{rtpmap: make(map[uint8]string), fmtp: make(map[uint8]string)}
	f := strings.Fields(line)
	if len(f) < 4 {
		return s
	}
	switch strings.ToLower(f[0]) {
	case "video":
		s.kind = media.KindVideo
	case "audio":
		s.kind = media.KindAudio
	case "application":
		s.kind = media.KindApplication
	}
	for _, p := range f[3:] {
		if n, err := strconv.ParseUint(p, 10, 7); err == nil && len(s.payloads) < maxFormats {
			s.payloads = append(s.payloads, uint8(n))
		}
	}
	return s
}

func (s *section) attribute(key, value string) {
	switch key {
	case "control":
		s.control = value
	case "sendonly", "inactive":
		s.off = true
	case "rtpmap", "fmtp":
		p, rest, _ := strings.Cut(value, " ")
		n, err := strconv.ParseUint(p, 10, 7)
		if err != nil {
			return
		}
		if rest = strings.TrimSpace(rest); key == "rtpmap" {
			s.rtpmap[uint8(n)] = rest
		} else {
			s.fmtp[uint8(n)] = rest
		}
	}
}

// sound leaves out what cannot be received, and what is there twice.
func sound(all []section) []section {
	var good []section
	seen := make(map[string]bool)
	for _, s := range all {
		if s.kind == 0 || s.off || len(s.payloads) == 0 || s.control != "" && seen[s.control] || len(good) == maxMedias {
			continue
		}
		seen[s.control] = true
		good = append(good, s)
	}
	return good
}

// parameters takes the value of an fmtp attribute apart; keys are in lower
// case.
func parameters(fmtp string) map[string]string {
	all := make(map[string]string)
	for p := range strings.SplitSeq(fmtp, ";") {
		key, value, _ := strings.Cut(p, "=") // base64 may end in more of them
		if key = strings.ToLower(strings.TrimSpace(key)); key != "" {
			all[key] = strings.TrimSpace(value)
		}
	}
	return all
}
