package selftest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
)

// socketOf returns the path of the API's socket, "" if there is none.
func socketOf(conf *config.Config, runtimeDir string) string {
	if s := conf.API.Socket; s == "" || filepath.IsAbs(s) {
		return s
	}
	return filepath.Join(runtimeDir, conf.API.Socket)
}

// status asks a daemon by its socket how it is.
func status(ctx context.Context, socket string) (*api.Status, error) {
	if socket == "" {
		return nil, errors.New("the API has no socket")
	}
	var st api.Status
	if err := api.Ask(ctx, socket, "/v1/status", &st); err != nil {
		return nil, err
	}
	return &st, nil
}

// ailing tells what is wrong with a daemon, nothing if it is well.
func ailing(st *api.Status) (all []string) {
	if st.Config.AppliedAt == nil {
		all = append(all, "no configuration runs")
	}
	if len(st.Config.Errors) > 0 {
		all = append(all, fmt.Sprintf("the configuration is %s: %d mistakes", st.Config.State, len(st.Config.Errors)))
	}
	all = append(all, st.Config.Problems...)
	for _, c := range st.Cameras {
		if c.State != "idle" && c.State != "stopped" && !c.Health.Warm {
			all = append(all, fmt.Sprintf("camera %s is %s", c.Name, c.Health.State))
		}
	}
	for _, p := range st.Pushes {
		if p.State != "active" && p.State != "idle" && p.State != "stopped" {
			all = append(all, fmt.Sprintf("push %s is %s", p.Name, p.State))
		}
	}
	return all
}

// pause is how long is waited between two questions.
const pause = 500 * time.Millisecond

// WaitHealthy waits until the service that runs is well: the configuration is
// applied, every wanted camera is warm and every wanted push up. The error of
// what lasts longer than limit says what was wrong at the end.
func WaitHealthy(ctx context.Context, files config.Options, runtimeDir string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cfg, _, err := config.Load(files)
	if err != nil { // the daemon runs on the last good one, and the socket is where it is by default
		if cfg, err = config.Parse("defaults", []byte("version: 1\n")); err != nil {
			return err
		}
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	last := errors.New("no daemon has answered")
	for {
		st, err := status(ctx, socketOf(cfg, runtimeDir))
		switch {
		case ctx.Err() != nil:
		case err != nil:
			last = err
		default:
			wrong := ailing(st)
			if len(wrong) == 0 {
				return nil
			}
			last = errors.New(strings.Join(wrong, "; "))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not healthy after %v: %w", limit, last)
		}
	}
}
