package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oneSink is a program that takes one stream and writes it to a file.
func oneSink(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s is missing, run make test once: %v", name, err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// TestO4_O3_EverySchemeArrives pushes one camera by RTSP to ffmpeg and by SRT to
// a receiver that calls, and plays what has come.
func TestO4_O3_EverySchemeArrives(t *testing.T) {
	cam, dir := startFakeCam(t), t.TempDir()
	rtsp, srt := freePort(t, "tcp"), freePort(t, "udp")
	files := map[string]string{"rtsp": filepath.Join(dir, "rtsp.ts"), "srt": filepath.Join(dir, "srt.ts")}
	oneSink(t, "ffmpeg", "-nostdin", "-v", "error", "-rtsp_flags", "listen", "-i", "rtsp://127.0.0.1:"+rtsp+"/live",
		"-c", "copy", "-f", "mpegts", "-flush_packets", "1", files["rtsp"])
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: %q}\npushes:\n"+
		"  rtsp: {camera: cam1, url: \"rtsp://127.0.0.1:%s/live\"}\n"+
		"  srt: {camera: cam1, url: \"srt://127.0.0.1:%s?mode=listener\", passphrase: hunter2hunter2}\n",
		cam.url("cam1"), rtsp, srt))
	eventually(t, time.Minute, "the listener says what it waits for", func() error {
		if p, err := b.push("srt"); err != nil || !strings.Contains(p.Reason, "to call 127.0.0.1:"+srt) {
			return fmt.Errorf("%s: %s, %v", p.State, p.Reason, err)
		}
		return nil
	})
	out, err := os.Create(files["srt"])
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	caller := exec.Command("srt-live-transmit", "-q", "-a:yes",
		"srt://127.0.0.1:"+srt+"?mode=caller&passphrase=hunter2hunter2", "file://con")
	caller.Stdout = out
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		caller.Process.Kill()
		caller.Wait()
	})
	for name, file := range files {
		b.awaitPush(name, "active")
		eventually(t, 40*time.Second, name+" has arrived", func() error {
			info, err := os.Stat(file)
			if err == nil && info.Size() < 100_000 {
				err = fmt.Errorf("%d bytes", info.Size())
			}
			return err
		})
		if _, err := probeCodecs(t, file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	guarded := freePort(t, "udp")
	oneSink(t, "srt-live-transmit", "-q", "-a:yes",
		"srt://127.0.0.1:"+guarded+"?mode=listener&passphrase=hunter2hunter2", "file://con")
	b.write(fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: %q}\npushes:\n"+
		"  srt: {camera: cam1, url: \"srt://127.0.0.1:%s\", passphrase: wrongwrongwrong}\n", cam.url("cam1"), guarded))
	eventually(t, 60*time.Second, "a wrong passphrase is named", func() error {
		p, err := b.push("srt")
		if err == nil && !strings.Contains(p.Reason, "passphrase") {
			err = fmt.Errorf("%s: %s", p.State, p.Reason)
		}
		return err
	})
}

// probeCodecs returns what ffprobe finds in a file, which must be H.264 and AAC.
func probeCodecs(t *testing.T, file string) (string, error) {
	t.Helper()
	out, errs, err := tool(t, time.Minute, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name",
		"-of", "csv=p=0", file)
	if err != nil || !strings.Contains(out, "h264") || !strings.Contains(out, "aac") {
		return out, fmt.Errorf("%v: %q %s", err, out, errs)
	}
	return out, nil
}
