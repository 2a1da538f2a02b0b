package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The rows O1, O2, O13, O14 and O16 to O22 of the reference: what is served.

// rowsO is what they run on: two cameras, and who watches the first.
type rowsO struct {
	*box

	cam *fakeCam
}

func (o *rowsO) config(more string) string {
	return "version: 1\naccess: {view: open}\ncameras:\n" +
		"  cam1: {url: \"" + o.cam.url("cam1") + "\"}\n  cam2: {url: \"" + o.cam.url("cam2") + "\"}\n" + more
}

func TestRowsOServing(t *testing.T) {
	t.Parallel() // it waits most of the time
	o := &rowsO{cam: startFakeCam(t)}
	o.box = startBox(t, o.config(""))
	for _, name := range []string{"cam1", "cam2"} {
		o.awaitActive(name)
	}
	for _, r := range []struct {
		name  string
		check func(*rowsO, *testing.T)
	}{
		{"O2 one port for each protocol", (*rowsO).o2},
		{"O20 MPEG-TS over HTTP", (*rowsO).o20},
		{"O21 an unknown path is refused at once", (*rowsO).o21},
		{"O22 one list of sessions", (*rowsO).o22},
		{"O16 segments of another length touch nobody else", (*rowsO).o16},
		{"O17 the multivariant playlist follows the camera", (*rowsO).o17},
		{"O18 a listener moves", (*rowsO).o18},
		{"O19 a listener that is off", (*rowsO).o19},
		{"O14 a camera that is removed", (*rowsO).o14},
		{"O13 a directory that cannot be written", (*rowsO).o13},
		{"O1 one process", (*rowsO).o1},
	} {
		t.Run(r.name, func(t *testing.T) { r.check(o, t) })
	}
}

// o1 looks for processes that the daemon has started.
func (o *rowsO) o1(t *testing.T) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", o.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", o.cmd.Process.Pid, thread.Name()))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if len(text) > 0 {
			t.Errorf("children: %s", text)
		}
	}
}

func (o *rowsO) o2(t *testing.T) {
	for _, url := range []string{"rtsp://" + o.addr("rtsp") + "/%s", "http://" + o.addr("http") + "/%s/index.m3u8"} {
		for _, name := range []string{"cam1", "cam2"} {
			if out, errs, err := tool(t, 30*time.Second, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name",
				fmt.Sprintf(url, name)); err != nil || !strings.Contains(out, "h264") {
				t.Errorf("%s of %s: %v\n%s%s", url, name, err, out, errs)
			}
		}
	}
}

// get returns the status, the body up to most bytes, and the header.
func (o *rowsO) get(t *testing.T, path string, most int64) (int, string, http.Header) {
	t.Helper()
	res, err := http.Get(o.http(path))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := make([]byte, most)
	n, err := io.ReadFull(res.Body, body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return res.StatusCode, string(body[:n]), res.Header
}

func (o *rowsO) o20(t *testing.T) {
	code, body, header := o.get(t, "cam1/mpegts", 20*188)
	if code != http.StatusOK || header.Get("Content-Type") != "video/mp2t" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %v", code, header)
	}
	for i := 0; i+188 <= len(body); i += 188 {
		if body[i] != 0x47 {
			t.Fatalf("no sync byte at %d", i)
		}
	}
	o.write(strings.Replace(o.config(""), "cam2\"}", "cam2\", mpegts: off}", 1))
	eventually(t, time.Minute, "O20: unknown and disabled cannot be told apart", func() error {
		unknown, text1, _ := o.get(t, "nope/mpegts", 1<<10)
		disabled, text2, _ := o.get(t, "cam2/mpegts", 1<<10)
		if unknown != http.StatusNotFound || disabled != http.StatusNotFound || text1 != text2 {
			return fmt.Errorf("%d %q, %d %q", unknown, text1, disabled, text2)
		}
		return nil
	})
	o.write(o.config(""))
}

func (o *rowsO) o21(t *testing.T) {
	began := time.Now()
	checkRefused(t, o.rtsp("nope"), "404")
	t.Logf("refused after %v", time.Since(began).Round(time.Millisecond))
}

func (o *rowsO) o22(t *testing.T) {
	v := o.viewer(t, "cam1")
	eventually(t, time.Minute, "the page has a playlist", func() error {
		if code, text, _ := o.get(t, "cam1/index.m3u8", 1<<14); code != http.StatusOK {
			return errors.New(text)
		}
		return nil
	})
	count := func() (n int) {
		st, err := o.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range st.Viewers {
			if w.Path == "cam1" {
				n++
			}
		}
		return n
	}
	if n := count(); n < 2 {
		t.Errorf("%d viewers, want one of RTSP and one of HLS at the least", n)
	}
	v.cut()
	eventually(t, 30*time.Second, "no viewer is left", func() error {
		if n := count(); n > 0 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

func (o *rowsO) o16(t *testing.T) {
	before, plays := o.text(t, "cam1/hls.m3u8"), o.cam.requests("PLAY")
	v := o.viewer(t, "cam1")
	o.write(o.config("hls: {segment: 1s}\n"))
	first, _, err := newestSegment(before)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "segments are shorter and go on counting", func() error {
		_, text, _ := o.get(t, "cam1/hls.m3u8", 1<<16)
		newest, _, err := newestSegment(text)
		if err == nil && (newest <= first || !strings.Contains(text, "#EXTINF:1.00000")) {
			err = fmt.Errorf("from %d:\n%s", first, text)
		}
		return err
	})
	v.watches(t)
	if n := o.cam.requests("PLAY"); n != plays {
		t.Errorf("%d connections more to the cameras", n-plays)
	}
}

// text returns a playlist as soon as it is there.
func (o *rowsO) text(t *testing.T, path string) (text string) {
	t.Helper()
	eventually(t, time.Minute, path, func() error {
		code, body, _ := o.get(t, path, 1<<16)
		if text = body; code != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
	return text
}

func (o *rowsO) o17(t *testing.T) {
	if text := o.text(t, "cam1/index.m3u8"); !strings.Contains(text, "RESOLUTION=320x180") {
		t.Errorf("before:\n%s", text)
	}
	o.cam.off()
	o.cam.height = 360
	o.cam.on()
	eventually(t, 60*time.Second, "the playlist names the new resolution", func() error {
		if _, text, _ := o.get(t, "cam1/index.m3u8", 1<<16); !strings.Contains(text, "RESOLUTION=640x360") {
			return errors.New(text)
		}
		return nil
	})
	o.awaitActive("cam2")
}

func (o *rowsO) o18(t *testing.T) {
	v := o.viewer(t, "cam1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for range 5 {
		port := freePort(t, "tcp")
		o.write(o.config("http: {listen: \"127.0.0.1:" + port + "\"}\n"))
		eventually(t, time.Minute, "the new port answers", func() error {
			_, err := livePlaylist("http://127.0.0.1:" + port + "/cam1/index.m3u8")
			return err
		})
		o.write(o.config("http: {listen: \"" + taken.Addr().String() + "\"}\n"))
		eventually(t, time.Minute, "the error is shown", func() error {
			st, err := o.status()
			if err == nil && !strings.Contains(strings.Join(st.Config.Problems, " "), "http") {
				err = fmt.Errorf("problems: %q", st.Config.Problems)
			}
			return err
		})
		if _, err := livePlaylist("http://127.0.0.1:" + port + "/cam1/index.m3u8"); err != nil {
			t.Errorf("the old port is gone: %v", err)
		}
	}
	v.watches(t)
	o.write(o.config(""))
}

func (o *rowsO) o19(t *testing.T) {
	addr := o.addr("rtsp")
	o.write(o.config("rtsp: {listen: \"\"}\n"))
	eventually(t, time.Minute, "the port is closed", func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil
		}
		c.Close()
		return errors.New("it is open")
	})
	o.call("GET", "/healthz", "").want(http.StatusOK)
	o.write(o.config(""))
	eventually(t, time.Minute, "RTSP is back", func() error {
		st, err := o.status()
		if err == nil && st.Listeners["rtsp"] == "" {
			err = errors.New("it does not listen")
		}
		return err
	})
}

func (o *rowsO) o14(t *testing.T) {
	hls := filepath.Join(o.runtime, "hls")
	foreign := filepath.Join(hls, "of-somebody-else.txt")
	if err := os.WriteFile(foreign, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.text(t, "cam2/hls.m3u8")
	o.write("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: \"" + o.cam.url("cam1") + "\"}\n")
	eventually(t, time.Minute, "the directory of cam2 is gone", func() error {
		if _, err := os.Stat(filepath.Join(hls, "cam2")); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
	if _, err := os.Stat(filepath.Join(hls, "cam1")); err != nil {
		t.Error(err)
	}
	o.restart(o.stop)
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
	o.awaitActive("cam1")
}

// o13 puts a file where the directory of a camera would be: root may write
// anywhere else.
func (o *rowsO) o13(t *testing.T) {
	if err := os.WriteFile(filepath.Join(o.runtime, "hls", "cam3"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.write(strings.Replace(o.config(""), "cam2:", "cam3:", 1))
	o.awaitActive("cam3")
	o.viewer(t, "cam3").watches(t)
	eventually(t, time.Minute, "the status says what is wrong with HLS", func() error {
		c, err := o.camera("cam3")
		if err == nil && (c.HLS == nil || c.HLS.Error == "") {
			err = fmt.Errorf("HLS: %+v", c.HLS)
		}
		return err
	})
}
