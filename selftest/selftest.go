// Package selftest tests a box: its hardware and limits, its configuration, ports,
// clock, libraries and memory, and then the whole of camrelay with a synthetic
// camera, whose pictures are received by all ways and compared bit by bit. A check
// is one entry of a table and gives a verdict with a reason. It has ports and
// directories of its own and does not touch a service that runs beside it.
package selftest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"camrelay/daemon/config"
	"camrelay/hal"
	"camrelay/hal/box"
)

// Verdict is how a check has ended.
type Verdict string

// The verdicts. Only Fail makes the whole fail.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
	Skip Verdict = "skip"
)

// Result is what a check has found.
type Result struct {
	Name    string             `json:"name"`
	Verdict Verdict            `json:"verdict"`
	Reason  string             `json:"reason"`
	Values  map[string]float64 `json:"values,omitempty"` // what was measured; units are in the names
	Seconds float64            `json:"seconds"`
}

// Report is what all have found.
type Report struct {
	Version string      `json:"version"`
	Verdict Verdict     `json:"verdict"`
	Seconds float64     `json:"seconds"`
	Checks  []Result    `json:"checks"`
	Board   *box.Report `json:"board,omitempty"`
}

// Sink receives what is pushed to it.
type Sink interface {
	Addr() net.Addr
	Run(ctx context.Context, got func([]byte)) error
}

// Config is what to test, and with what.
type Config struct {
	Version    string
	Root       string         // "/" is this box; a fixture has its hardware tested only
	Files      config.Options // of the configuration
	StateDir   string
	RuntimeDir string // of the service
	Scratch    string // a directory on a tmpfs for the test itself
	Quick      bool   // without the load that shows how much the box carries
	User       string // whom the service runs as; empty: whoever calls

	Now   func() time.Time
	Floor time.Time // no time is before this one
	// Library returns the version of libsrt, and why it must not be used. A build
	// without it has none.
	Library func() (version string, err error)
	// Daemon runs a daemon with a configuration until ctx is done.
	Daemon func(ctx context.Context, file, stateDir, runtimeDir string) error
	// ListenSRT opens a receiver of SRT.
	ListenSRT func(address string) (Sink, error)
	// Progress is told when a check begins, with a Result that has no verdict, and
	// when it has ended.
	Progress func(Result)
}

// run is one run of the self test.
type run struct {
	Config

	board   *hal.Board
	report  box.Report
	conf    *config.Config // nil: it is broken, or missing
	sources []config.Source
	running bool          // a service answers
	bench   *bench        // nil before the pipeline has begun
	waited  time.Duration // for ways out
	load    load
}

// check is one entry of the table. It returns its verdict by a Result whose name
// and time are filled in.
type check struct {
	name string
	do   func(ctx context.Context, r *run) Result
}

// hardware is what a fixture has, too.
func hardware() []check {
	return []check{{"board", checkBoard}, {"hardware", checkHardware}, {"clock", checkClock}}
}

func software() []check {
	return []check{
		{"libsrt", checkLibrary},
		{"limits", checkLimits},
		{"config", checkConfig},
		{"files", checkFiles},
		{"ports", checkPorts},
		{"tmpfs", checkTmpfs},
	}
}

func pipeline() []check {
	return []check{
		{"camera", checkCamera},
		{"rtsp", checkRTSP},
		{"hls", checkHLS},
		{"rtmp", checkRTMP},
		{"srt", checkSRT},
		{"load", checkLoad},
		{"capacity", checkCapacity},
	}
}

// Run tests everything. The error means that the test itself could not begin;
// what it finds is in the Report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	began := time.Now()
	board, err := hal.Open(cfg.Root)
	if err != nil {
		return nil, err
	}
	defer board.Close()
	r := &run{Config: cfg, board: board, report: box.Read(board, cfg.RuntimeDir)}
	checks := hardware()
	if board.Live {
		checks = slices.Concat(checks, software(), pipeline())
	}
	all := &Report{Version: cfg.Version, Verdict: OK, Board: &r.report}
	for _, c := range checks {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("cannot end the self test: %w", context.Cause(ctx))
		}
		all.Checks = append(all.Checks, r.one(ctx, c))
	}
	r.bench.close()
	for _, c := range all.Checks {
		if c.Verdict == Fail {
			all.Verdict = Fail
		}
	}
	all.Seconds = time.Since(began).Seconds()
	return all, nil
}

// one does one check.
func (r *run) one(ctx context.Context, c check) Result {
	r.Progress(Result{Name: c.name})
	began := time.Now()
	res := c.do(ctx, r)
	res.Name, res.Seconds = c.name, time.Since(began).Round(time.Millisecond).Seconds()
	r.Progress(res)
	return res
}

func result(v Verdict, format string, args ...any) Result {
	return Result{Verdict: v, Reason: fmt.Sprintf(format, args...)}
}
