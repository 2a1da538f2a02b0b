package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"camrelay/daemon/config"
	"camrelay/hal/tmpfs"
)

const mib = 1 << 20

// cameraRate is what is reckoned for one camera, in bit/s.
const cameraRate = 4_000_000

// windowBytes is what the segments of one camera take: the playlist, what has
// just left it, and what is being written.
func windowBytes(window, segment time.Duration) int64 {
	return int64((window + 3*segment).Seconds() * cameraRate / 8)
}

// checkTmpfs tells whether segments have room, in memory that is fast.
func checkTmpfs(_ context.Context, r *run) Result {
	dir := existing(r.RuntimeDir)
	st := tmpfs.Read(r.board, dir)
	switch {
	case st.ReadOnly:
		return result(Fail, "%s cannot be written to", dir)
	case st.Type != "" && !st.InMemory():
		return result(Warn, "%s lies on %s, not in memory: packaging there wears flash out", dir, st.Type)
	}
	res := result(OK, "%d MiB, %d MiB free", st.Size/mib, st.Free/mib)
	res.Values = map[string]float64{"size_bytes": float64(st.Size), "free_bytes": float64(st.Free)}
	if v, why := room(r.conf, st); v != OK {
		res.Verdict, res.Reason = v, why
		if v == Fail {
			return res
		}
	}
	speed, err := writeSpeed(r.Scratch, min(32*mib, st.Free/4))
	if err != nil {
		return result(Fail, "cannot write to %s: %v", r.Scratch, err)
	}
	res.Values["write_mib_per_second"] = speed
	res.Reason += fmt.Sprintf(", %.0f MiB/s", speed)
	const slow = 50 // MiB/s: a hundred cameras
	if speed < slow {
		res.Verdict, res.Reason = Warn, res.Reason+": slow for memory"
	}
	return res
}

// existing returns the directory, or the nearest above it that there is.
func existing(dir string) string {
	for dir != filepath.Dir(dir) {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// room tells whether the cameras of the configuration have room.
func room(conf *config.Config, st tmpfs.State) (Verdict, string) {
	need, budget := int64(16*mib), int64(0)
	if conf != nil && conf.HLS.Mode != config.ModeOff {
		budget = conf.HLS.Budget
		need += min(budget, int64(len(conf.Cameras))*windowBytes(conf.HLS.Window, conf.HLS.Segment))
	}
	switch {
	case st.Size == 0:
		return OK, ""
	case st.Size < need:
		return Fail, fmt.Sprintf("%s has %d MiB, the cameras need %d", st.Mount, st.Size/mib, need/mib)
	case st.Size < budget:
		return Warn, fmt.Sprintf("%s has %d MiB, hls.budget allows %d", st.Mount, st.Size/mib, budget/mib)
	}
	return OK, ""
}

// writeSpeed writes a file of n bytes, and returns MiB per second.
func writeSpeed(dir string, n int64) (speed float64, err error) {
	f, err := os.CreateTemp(dir, "speed-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, mib)
	for i := range block {
		block[i] = byte(i)
	}
	written, began := int64(0), time.Now()
	for written < max(n, mib) {
		m, err := f.Write(block)
		if err != nil {
			return 0, err
		}
		written += int64(m)
	}
	return float64(written) / mib / max(time.Since(began), time.Microsecond).Seconds(), nil
}
