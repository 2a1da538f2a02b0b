package rtspd

import (
	"bufio"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"camrelay/media/mediatest"
)

// follower is an ffmpeg that watches by multicast, with the pictures it has got.
type follower struct {
	mu       sync.Mutex // guards what follows
	pictures []string   // sizes and checksums
}

func (f *follower) have() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pictures)
}

// follow has ffmpeg watch from the far end of a line until the test ends.
func follow(t *testing.T, line *mediatest.Line, url string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := line.Command(ctx, "ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "udp_multicast", "-i", url,
		"-map", "0:v", "-c", "copy", "-flush_packets", "1", "-f", "framecrc", "pipe:1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if field := strings.Split(lines.Text(), ","); len(field) >= 6 {
				f.mu.Lock()
				f.pictures = append(f.pictures, field[4]+field[5])
				f.mu.Unlock()
			}
		}
		_ = cmd.Wait() // it is killed, or kicked
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return f
}

// TestPlayersByMulticast has two ffmpeg and a GStreamer on another box, which is
// a network namespace.
func TestPlayersByMulticast(t *testing.T) {
	t.Parallel()
	const enough = 40
	line := mediatest.NewLine(t)
	line.Route(t, "239.0.0.0/8")
	cam := newCamera(t, mediatest.H264AAC)
	cam.feed(t)
	m := toLo(t, "239.255.0.0/16")
	m.Network, m.Interface = netip.MustParsePrefix("239.255.0.0/16"), "" // the one that leads to the line
	s := serve(t, Config{Listen: line.Near + ":0", Multicast: m}, cam.stream)
	decoded := filepath.Join(t.TempDir(), "pictures.yuv")
	gst := line.Command(t.Context(), "gst-launch-1.0", "-q", "rtspsrc", "location="+s.url("gate"),
		"protocols=udp-mcast", "latency=200", "!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!",
		"filesink", "buffer-mode=unbuffered", "location="+decoded)
	if err := gst.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gst.Process.Kill(); _ = gst.Wait() })
	one, two := follow(t, line, s.url("gate")), follow(t, line, s.url("gate"))
	eventually(t, "three watch", func() bool { return s.server.Stats().Readers == 3 })
	if st, n := s.server.Stats(), cam.stream.Packets.Readers(); st.Groups != 1 || n != 1 {
		t.Errorf("%d senders, %d read the stream", st.Groups, n)
	}
	track := cam.clip.Tracks[0]
	eventually(t, "all have pictures", func() bool {
		info, err := os.Stat(decoded)
		return err == nil && int(info.Size())/(track.Width*track.Height*3/2) >= enough &&
			len(one.have()) >= enough && len(two.have()) >= enough
	})
	checkSame(t, one.have(), two.have())
	s.kick(errors.New("kicked"))
	eventually(t, "nothing is sent", func() bool {
		st := s.server.Stats()
		return st.Readers == 0 && st.Groups == 0 && cam.stream.Packets.Readers() == 0
	})
	if n := s.server.Stats().Lost; n != 0 {
		t.Errorf("%d packets were not sent", n)
	}
}

// checkSame fails unless both have got the same pictures since the later one began.
func checkSame(t *testing.T, a, b []string) {
	t.Helper()
	if !slices.Contains(a, b[0]) {
		a, b = b, a
	}
	from := slices.Index(a, b[0])
	if from < 0 {
		t.Fatalf("one player got\n%v, the other\n%v", a, b)
	}
	a = a[from:]
	n := min(len(a), len(b))
	if n < 10 || !slices.Equal(a[:n], b[:n]) {
		t.Errorf("one player got\n%v, the other\n%v", a, b)
	}
	t.Logf("%d pictures are the same", n)
}
