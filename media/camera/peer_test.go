package camera

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// cameras are GStreamer's RTSP servers.
type cameras struct {
	open, auth, tls string // host:port
	fingerprint     string

	mu   sync.Mutex // guards torn
	torn []string   // paths that were torn down
	seen chan struct{}
}

// startCameras starts them, for the length of the test.
func startCameras(t *testing.T) *cameras {
	t.Helper()
	c := &cameras{seen: make(chan struct{}, 100)}
	file, sum := certificate(t)
	c.fingerprint = sum
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/cameras.py", file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("GStreamer's RTSP server is needed (python3-gi, gir1.2-gst-rtsp-server-1.0): %v", err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "ready ") {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("GStreamer's RTSP server is needed (python3-gi, gir1.2-gst-rtsp-server-1.0): %q %s", lines.Text(), &errs)
	}
	var ports [3]int
	fmt.Sscanf(lines.Text(), "ready %d %d %d", &ports[0], &ports[1], &ports[2])
	for i, addr := range []*string{&c.open, &c.auth, &c.tls} {
		*addr = fmt.Sprintf("127.0.0.1:%d", ports[i])
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			c.mu.Lock()
			c.torn = append(c.torn, strings.TrimPrefix(lines.Text(), "teardown "))
			c.mu.Unlock()
			c.seen <- struct{}{}
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		reading.Wait()
		cmd.Wait()
	})
	return c
}

// waitTorn waits until the camera has seen n TEARDOWNs.
func (c *cameras) waitTorn(t *testing.T, n int) {
	t.Helper()
	limit := time.After(5 * time.Second)
	for {
		c.mu.Lock()
		got := len(c.torn)
		c.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-c.seen:
		case <-limit:
			t.Fatalf("the camera saw %d of %d TEARDOWNs", got, n)
		}
	}
}

// certificate returns a file with a new certificate and its key, and the
// certificate's fingerprint.
func certificate(t *testing.T) (file, fingerprint string) {
	t.Helper()
	c, cert, key := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now().Add(-time.Minute))
	file = filepath.Join(t.TempDir(), "camera.pem")
	if err := os.WriteFile(file, []byte(cert+key), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(c.Certificate[0])
	return file, hex.EncodeToString(sum[:])
}

// peerFrames is how many pictures or frames of sound are looked at.
const peerFrames = 60

func TestGStreamer(t *testing.T) {
	cams := startCameras(t)
	tests := []struct {
		name, mount string
		transport   Transport
		tracks      string
		step        uint32 // ticks between two pictures, or two frames of sound
		units       bool
	}{
		{"H.264 and AAC over TCP", "h264aac", TCP, "H264 AAC", 3600, true},
		{"H.264 and AAC over UDP", "h264aac", UDP, "H264 AAC", 3600, true},
		{"H.264 in one slice", "inband", Auto, "H264", 3600, true},
		{"H.265 and AAC over TCP", "h265", TCP, "H265 AAC", 3600, true},
		{"H.265 and AAC over UDP", "h265", UDP, "H265 AAC", 3600, true},
		{"G.711 beside", "pcma", Auto, "H264 PCMA", 3600, true},
		{"Opus beside", "opus", Auto, "H264 Opus", 3600, true},
		{"MJPEG passes through", "mjpeg", Auto, "MJPEG", 3600, false},
		{"MJPEG passes through by UDP", "mjpeg", UDP, "MJPEG", 3600, false},
		{"audio alone", "audio", Auto, "AAC", 1024, true},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPuller(t, "rtsp://"+cams.open+"/"+tt.mount)
			p.spec.Transport = tt.transport
			r := p.stream.Packets.Reader("test", hub.Live)
			defer r.Close()
			us := p.stream.Units.Reader("test", hub.LastStart)
			defer us.Close()
			us.Relax()
			stop := p.start()
			var reading sync.WaitGroup
			if tt.units {
				reading.Go(func() { p.unitsRunOn(us, tt.step == 3600) })
			}
			p.noneMissing(r, tt.step)
			reading.Wait()
			tracks, _ := p.stream.Tracks()
			var codecs []string
			for _, tr := range tracks {
				codecs = append(codecs, tr.Codec.String())
				if !tr.Ready() || tr.HasUnits() && tr.Kind == media.KindVideo && (tr.Width != 320 || tr.Height != 240) {
					t.Errorf("track %+v", tr)
				}
			}
			if got := strings.Join(codecs, " "); got != tt.tracks {
				t.Errorf("tracks %s, want %s", got, tt.tracks)
			}
			if err := stop(); err != context.Canceled {
				t.Errorf("ended by %v", err)
			}
			if st := p.stream.Meter.Stats(time.Now()); st.Lost != 0 {
				t.Errorf("%d packets lost", st.Lost)
			}
			cams.waitTorn(t, i+1)
		})
	}
}

// noneMissing reads packets until it has seen peerFrames of track 0, and fails
// unless numbers and stamps run on, and the first is a start.
func (p *puller) noneMissing(r *hub.Reader[media.Packets], step uint32) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	seqs := make(map[int]uint16)
	var stamp uint32
	for frames := 0; frames < peerFrames; {
		e, lost, err := r.Next(ctx)
		if err != nil || lost != 0 {
			p.tb.Fatalf("after %d frames: %d lost, %v", frames, lost, err)
		}
		if seq, ok := seqs[e.Track.ID]; ok && e.Sequence() != seq {
			p.tb.Fatalf("track %d: packet %d, want %d", e.Track.ID, e.Sequence(), seq)
		}
		seqs[e.Track.ID] = e.Sequence() + uint16(e.N)
		if e.Gap {
			p.tb.Errorf("a gap in track %d", e.Track.ID)
		}
		if e.Track.ID != 0 {
			continue
		}
		if frames == 0 && !e.Key {
			p.tb.Errorf("begins with %s", text(e))
		}
		if frames == 0 || e.Timestamp() != stamp {
			if frames > 0 && e.Timestamp()-stamp != step {
				p.tb.Errorf("frame %d is stamped %d after the one before, want %d", frames, e.Timestamp()-stamp, step)
			}
			stamp = e.Timestamp()
			frames++
		}
	}
}

// unitsRunOn reads units until it has seen some pictures, or frames of sound,
// and fails unless they begin with a key and their times run on.
func (p *puller) unitsRunOn(r *hub.Reader[*media.Unit], video bool) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	last := make(map[int]*media.Unit)
	for n := 0; n < peerFrames/2; {
		u, lost, err := r.Next(ctx)
		if err != nil || lost != 0 {
			p.tb.Errorf("unit %d: %d lost, %v", n, lost, err)
			return
		}
		if u.Gap {
			p.tb.Errorf("unit %d of track %d is a gap", n, u.Track.ID)
		}
		l := last[u.Track.ID]
		last[u.Track.ID] = u
		switch d := u.DTS; {
		case l == nil:
			if u.Track.ID == 0 && !u.Key {
				p.tb.Error("the first unit is no key")
			}
		case video && u.Track.ID == 0 && (d-l.DTS < 39*time.Millisecond || d-l.DTS > 41*time.Millisecond):
			p.tb.Errorf("picture %d comes %v after the one before", n, d-l.DTS)
		case d <= l.DTS:
			p.tb.Errorf("unit %d of track %d at %v after %v", n, u.Track.ID, d, l.DTS)
		}
		if u.Track.ID == 0 {
			n++
		}
	}
}

func TestGStreamerWantsCredentials(t *testing.T) {
	cams := startCameras(t)
	url := "rtsp://" + cams.auth + "/h264aac"
	tests := []struct {
		name, url, user string
		password        media.Secret
		class           media.Class
		words           string // empty: it plays
	}{
		{"right ones", url, testUser, "p@ss:w/rd", 0, ""},
		{"right ones in the URL", strings.Replace(url, "//", "//admin:p%40ss%3Aw%2Frd@", 1), "", "", 0, ""},
		{"a wrong password", url, testUser, "p%40ss%3Aw%2Frd", media.ClassCredentials, "refuses the user name"},
		{"none", url, "", "", media.ClassCredentials, "asks for a user name and password (401)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPuller(t, tt.url)
			p.spec.Username, p.spec.Password = tt.user, tt.password
			if tt.words != "" {
				wantClass(t, p.run(t.Context()), tt.class, tt.words)
				return
			}
			r := p.stream.Packets.Reader("test", hub.Live)
			defer r.Close()
			stop := p.start()
			p.entries(r, 30)
			stop()
		})
	}
}

func TestGStreamerOverTLS(t *testing.T) {
	cams := startCameras(t)
	tests := []struct {
		name, fingerprint string
		insecure          bool
		words             string // empty: it plays
	}{
		{"pinned", cams.fingerprint, false, ""},
		{"pinned, as openssl prints it", strings.ToUpper(cams.fingerprint[:2] + ":" + cams.fingerprint[2:]), false, ""},
		{"any certificate", "", true, ""},
		{"another one is pinned", strings.Repeat("00", 32), false, "pinned one: it has fingerprint " + cams.fingerprint},
		{"not trusted", "", false, "certificate is not trusted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPuller(t, "rtsps://"+cams.tls+"/h264aac")
			p.spec.Fingerprint, p.spec.Insecure = tt.fingerprint, tt.insecure
			if tt.words != "" {
				wantClass(t, p.run(t.Context()), media.ClassUnsupported, tt.words)
				return
			}
			for _, relaxed := range []bool{false, true} {
				r := p.stream.Packets.Reader("test", hub.Live)
				if relaxed {
					r.Relax()
				}
				stop := p.start()
				p.noneMissing(r, 3600)
				stop()
				r.Close()
				p.splice, p.stream = NewSplice(), hub.NewStream("gate")
			}
		})
	}
}
