package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// matrix is a daemon with all kinds of cameras, each pushed by all schemes.
type matrix struct {
	*box

	dir        string
	web        *http.Client
	addrs      map[string]string         // of the listeners
	recordings map[string]string         // of the sinks, by the name of the push
	sinks      map[string]*mediatest.Log // what those of RTSP say
}

// startMatrix starts cameras, sinks and the daemon.
func startMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{
		dir: t.TempDir(), recordings: make(map[string]string), sinks: make(map[string]*mediatest.Log),
		web: &http.Client{Timeout: readTimeout, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	cams := startGstCams(t, "0", "320x180")
	var cameras, pushes strings.Builder
	site := startMatrixSinks(t)
	for _, c := range matrixColumns() {
		fmt.Fprintf(&cameras, "  %s: {url: %q}\n", c[0], cams.url("/"+c[0]))
		site.push(m, &pushes, c[0])
	}
	m.box = startBox(t, "version: 1\naccess: {view: open}\ncameras:\n"+
		cameras.String()+"pushes:\n"+pushes.String())
	for _, c := range matrixColumns() {
		m.awaitReady(c[0], true, time.Minute)
		if c[0] != "audio" {
			m.awaitSteady(c[0])
		}
	}
	st, err := m.status()
	if err != nil {
		t.Fatal(err)
	}
	m.addrs = st.Listeners
	return m
}

// matrixSinks are nginx, and TLS before it; what takes one stream at a time is
// started for each push.
type matrixSinks struct {
	t           *testing.T
	rtmp        *rtmpSink
	tls         *tap
	fingerprint string
}

func startMatrixSinks(t *testing.T) *matrixSinks {
	t.Helper()
	s := &matrixSinks{t: t, rtmp: startRTMPSink(t)}
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	sum := sha256.Sum256(web.Certificate().Raw)
	s.fingerprint = hex.EncodeToString(sum[:])
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.tls = startTapOn(t, tls.NewListener(ln, &tls.Config{Certificates: web.TLS.Certificates}), "127.0.0.1:"+s.rtmp.port)
	return s
}

// push writes the pushes of a camera, and starts their sinks.
func (s *matrixSinks) push(m *matrix, config *strings.Builder, camera string) {
	line := func(scheme, url, more string) {
		fmt.Fprintf(config, "  %s-%s: {camera: %s, url: %q%s}\n", camera, scheme, camera, url, more)
	}
	line("rtmp", s.rtmp.url(camera), "")
	m.recordings[camera+"-rtmp"] = s.rtmp.recording(camera)
	line("rtmps", "rtmps://"+s.tls.addr+"/live/"+camera+"-tls", ", tls: {fingerprint: "+s.fingerprint+"}")
	m.recordings[camera+"-rtmps"] = s.rtmp.recording(camera + "-tls")
	srt := startSRTSink(s.t)
	line("srt", srt.url(), "")
	m.recordings[camera+"-srt"] = srt.path
	line("rtsp", s.listener(m, camera+"-rtsp"), "")
}

// listener is an ffmpeg that takes one stream by RTSP and decodes it.
func (s *matrixSinks) listener(m *matrix, push string) (url string) {
	url = "rtsp://127.0.0.1:" + freePort(s.t, "tcp") + "/live"
	file, said := filepath.Join(m.dir, push+".crc"), &mediatest.Log{}
	m.recordings[push], m.sinks[push] = file, said
	args := []string{"-nostdin", "-v", "level+info", "-rtsp_flags", "listen", "-i", url, "-map", "0"}
	args = append(append(args, "-flush_packets", "1"), asDecoded("framecrc", file)...)
	cmd := exec.Command("ffmpeg", args...)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("ffmpeg is missing, run make test once: %v", err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return url
}
