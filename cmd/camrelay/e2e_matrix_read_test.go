package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/api"
)

// The readers of the matrix. Each returns a cell.

// readTimeout is how long a reader may take.
const readTimeout = 20 * time.Second

// decoded lets ffmpeg decode a second of each track, and names their codecs.
func (m *matrix) decoded(args ...string) string {
	args = append([]string{"-nostdin", "-v", "level+info"}, args...)
	args = append(args, "-map", "0", "-frames:v", "25", "-frames:a", "25")
	_, said, err := tool(m.t, readTimeout, "ffmpeg", append(args, asDecoded("null", "-")...)...)
	if err != nil && !serverError.MatchString(said) {
		return fmt.Sprintf("broken: %v %s", err, said[max(0, len(said)-500):])
	}
	return judged(said)
}

// asDecoded are the arguments of an output that takes frames as they come.
func asDecoded(form, file string) []string {
	return []string{"-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", form, file}
}

// judged makes a cell of what ffmpeg has said.
func judged(said string) string {
	if refused := serverError.FindStringSubmatch(said); refused != nil {
		return "refused: " + refused[1]
	}
	if complaint := complaints.FindString(said); complaint != "" {
		return "broken: " + complaint
	}
	input, _, _ := strings.Cut(said, "Stream mapping:")
	var codecs []string
	for _, stream := range streams.FindAllStringSubmatch(input, -1) {
		codecs = append(codecs, stream[1])
	}
	slices.SortFunc(codecs, func(a, b string) int { return rank(a) - rank(b) })
	return strings.Join(codecs, " ")
}

// rank puts pictures before sound.
func rank(codec string) int {
	if codec == "h264" || codec == "hevc" {
		return 0
	}
	return 1
}

// What ffmpeg says.
//
// regular expressions
var (
	serverError = regexp.MustCompile(`Server error: (.+)`)
	complaints  = regexp.MustCompile(`\[(?:error|fatal)\].*`)
	streams     = regexp.MustCompile(`Stream #\d+:\d+.*: (?:Video|Audio): (\w+)`)
)

func rtspRow(transport string) func(*matrix, string) string {
	return func(m *matrix, camera string) string {
		return m.decoded("-rtsp_transport", transport, "-i", "rtsp://"+m.addrs["rtsp"]+"/"+camera)
	}
}

// httpRow reads the file of a camera, or says as a browser would why there is
// none.
func httpRow(file string) func(*matrix, string) string {
	return func(m *matrix, camera string) string {
		url := "http://" + m.addrs["http"] + "/" + camera + file
		if refused := m.refused(url); refused != "" {
			return refused
		}
		return m.decoded("-i", url)
	}
}

func (m *matrix) refused(url string) string {
	res, err := m.web.Get(url)
	if err != nil {
		return "broken: " + err.Error()
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return ""
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "broken: " + err.Error()
	}
	return fmt.Sprintf("refused: %d %s", res.StatusCode, strings.TrimSpace(string(text)))
}

func rtmpRow(m *matrix, camera string) string {
	return m.decoded("-i", "rtmp://"+m.addrs["rtmp"]+"/live/"+camera)
}

func srtRow(m *matrix, camera string) string {
	return m.decoded("-i", "srt://"+m.addrs["srt"]+"?streamid=read:"+camera)
}

// flvRow reads HTTP-FLV: with ffmpeg, unless there is H.265 in it, which only
// newer ones know there.
func flvRow(m *matrix, camera string) string {
	if camera != "h265" {
		return httpRow(".flv")(m, camera)
	}
	res, err := m.web.Get("http://" + m.addrs["http"] + "/" + camera + ".flv")
	if err != nil {
		return "broken: " + err.Error()
	}
	defer res.Body.Close()
	stream, sound, err := enhanced(bufio.NewReader(res.Body), 60)
	if err != nil || sound == 0 {
		return fmt.Sprintf("broken: %v, %d frames of sound", err, sound)
	}
	f, err := os.CreateTemp(m.dir, "*.h265")
	if err != nil {
		return "broken: " + err.Error()
	}
	defer f.Close()
	if _, err := f.Write(stream); err != nil {
		return "broken: " + err.Error()
	}
	return m.decoded("-i", f.Name()) + " aac"
}

// enhanced takes so many pictures of H.265 out of a file as Enhanced RTMP
// describes it, as a byte stream, and counts the frames of AAC that come along.
func enhanced(r io.Reader, pictures int) (stream []byte, sound int, err error) {
	if _, err := io.CopyN(io.Discard, r, 13); err != nil {
		return nil, 0, err
	}
	for pictures > 0 {
		var h [11]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return nil, 0, err
		}
		body := make([]byte, binary.BigEndian.Uint32(h[:])&0xffffff+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, 0, err
		}
		body = body[:len(body)-4]
		switch {
		case h[0] == 8 && body[0]>>4 == 10 && body[1] == 1:
			sound++
		case h[0] == 9 && string(body[1:5]) == "hvc1":
			if body[0]&15 != 0 {
				pictures--
			}
			stream = appendUnits(stream, body)
		}
	}
	return stream, sound, nil
}

// appendUnits appends the NAL units of a tag: parameter sets in the arrays of a
// sequence header, else those of a picture.
func appendUnits(out, body []byte) []byte {
	start, size := []byte{0, 0, 0, 1}, 4
	b := body[5:]
	switch body[0] & 15 {
	case 0:
		b, size = b[23:], 5
	case 1:
		b = b[3:] // composition time
	}
	for len(b) > size {
		n := int(binary.BigEndian.Uint32(b))
		if size == 5 { // type, number of units, length
			n = int(binary.BigEndian.Uint16(b[3:]))
		}
		out = slices.Concat(out, start, b[size:size+n])
		b = b[size+n:]
	}
	return out
}

// pushRow reads what a sink has got from the camera's push by the scheme.
func pushRow(scheme string) func(*matrix, string) string {
	return func(m *matrix, camera string) string {
		p, refused := m.pushed(camera + "-" + scheme)
		if refused != "" {
			return refused
		}
		got := m.decoded("-i", m.recordings[p.Name])
		if p.Audio.Out == "" && p.Audio.Reason != "" {
			got += ", no sound: " + p.Audio.Reason
		}
		return got
	}
}

// pushed returns the status of a push, or why it is not active.
func (m *matrix) pushed(name string) (p api.PushStatus, refused string) {
	p, err := m.push(name)
	switch {
	case err != nil:
		return p, "broken: " + err.Error()
	case p.State != "active" && len(p.Errors) > 0:
		return p, "refused: " + p.Errors[0].Message
	case p.State != "active":
		return p, p.State + ": " + p.Reason
	}
	return p, ""
}

// recordRow reads what the sink of the camera's push by RTSP has decoded.
func recordRow(m *matrix, camera string) string {
	p, refused := m.pushed(camera + "-rtsp")
	if refused != "" {
		return refused
	}
	text, err := os.ReadFile(m.recordings[p.Name])
	if err != nil {
		return "broken: " + err.Error()
	}
	said := m.sinks[p.Name].String()
	frames := make(map[string]int)
	for line := range lines(string(text)) {
		stream, _, _ := strings.Cut(line, ",")
		frames[stream]++
	}
	for i := range strings.Fields(judged(said)) {
		if n := frames[strconv.Itoa(i)]; n < 25 {
			return fmt.Sprintf("%d frames of track %d", n, i)
		}
	}
	return judged(said)
}
