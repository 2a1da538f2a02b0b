package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/health"
	"camrelay/daemon/metrics"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
	"camrelay/daemon/webhook"
	"camrelay/hal"
	hardware "camrelay/hal/box"
	"camrelay/hal/clock"
	"camrelay/hal/led"
)

const boards = "../hal/box/testdata/boards/"

// report reads a board of hal.
func report(t *testing.T, board string) hardware.Report {
	t.Helper()
	b, err := hal.Open(boards + board)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetPatience(time.Minute)
	return hardware.Read(b, "/run/camrelay")
}

func newBox() *box {
	return &box{
		floor: floor(), events: webhook.NewLog(), log: slog.New(slog.DiscardHandler), changed: make(chan struct{}, 1),
		use: func() (budget, used int64) { return 256 << 20, 0 },
	}
}

// noon is when a look may begin, and later some time after it.
func noon() clock.Moment {
	return clock.Moment{Wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Boot: time.Hour}
}

func later(m clock.Moment, d time.Duration) clock.Moment {
	return clock.Moment{Wall: m.Wall.Add(d), Boot: m.Boot + d}
}

// TestOnlyWhoSetsTheClockIsTold: a box that was suspended has lost no time.
func TestOnlyWhoSetsTheClockIsTold(t *testing.T) {
	b, now, good := newBox(), noon(), report(t, "raspberrypi5")
	b.look(good, now)
	now = later(now, 8*time.Hour)
	if b.look(good, now); b.status().ClockSteps != 0 {
		t.Error("a suspend counts as a step")
	}
	now.Wall = now.Wall.Add(time.Minute)
	if b.look(good, now); b.status().ClockSteps != 1 {
		t.Errorf("%d steps", b.status().ClockSteps)
	}
}

// TestTheHardwareIsWatched looks at boards that have faults, and at one that has
// none.
func TestTheHardwareIsWatched(t *testing.T) {
	b := newBox()
	if b.status() != nil || b.conditions() != nil {
		t.Error("something is known before the first look")
	}
	now := noon()
	for range 3 {
		b.look(report(t, "rock5b"), now)
		now = later(now, 10*time.Second)
	}
	st := b.status()
	var names []string
	for _, c := range st.Conditions {
		names = append(names, c.Name+" "+c.Severity)
	}
	want := []string{"hot warn", "throttled warn", "memory_short notice", "clock_not_synced notice"}
	if !slices.Equal(names, want) || st.Model != "Radxa ROCK 5B" || *st.Celsius != 88.769 || *st.ClockSynced ||
		st.MemoryLevel != "short" || len(st.Shed) != 1 {
		t.Errorf("%+v", st)
	}
	if f := b.figures(); f.Celsius != 88.769 || f.MemoryLevel != 1 || f.LinksUp != 1 || len(f.Conditions) != len(want) {
		t.Errorf("%+v", f)
	}
	select {
	case <-b.changed:
	default:
		t.Error("nobody is told that memory is short")
	}
	for range 9 {
		b.look(report(t, "raspberrypi5"), now)
		now = later(now, 10*time.Second)
	}
	if st := b.status(); len(st.Conditions) > 0 || st.MemoryLevel != "plenty" || len(st.Shed) > 0 {
		t.Errorf("%+v", st)
	}
}

// TestMetricsKnowEveryFault: a condition without a series is one that nobody sees.
func TestMetricsKnowEveryFault(t *testing.T) {
	dirs, err := filepath.Glob(boards + "*/sys")
	if err != nil || len(dirs) == 0 {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		r := report(t, filepath.Base(filepath.Dir(dir)))
		for _, f := range r.Judge(hardware.Use{Now: time.Unix(1, 0), Floor: floor()}) {
			if !slices.Contains(metrics.BoxConditions(), f.Name) {
				t.Errorf("the metrics do not know %s", f.Name)
			}
		}
	}
}

func TestPatterns(t *testing.T) {
	warm := cameraReport{state: relay.Health{Warm: true}, phase: supervise.Active}
	cold := cameraReport{phase: supervise.Reconnecting}
	idle := cameraReport{phase: supervise.Idle}
	push := func(p supervise.Phase) []api.Push { return []api.Push{{State: supervise.State{Phase: p}}} }
	grave := []health.BoxCondition{{Fault: health.Fault{Severity: "grave"}}}
	warn := []health.BoxCondition{{Fault: health.Fault{Severity: "warn"}}}
	for _, row := range []struct {
		name    string
		cameras []cameraReport
		pushes  []api.Push
		state   string
		box     []health.BoxCondition
		want    led.Pattern
	}{
		{"nothing is configured", nil, nil, stateApplied, nil, led.Setup},
		{"all is well", []cameraReport{warm, idle}, push(supervise.Active), stateApplied, warn, led.Well},
		{"a camera is out, and a push", []cameraReport{warm, cold}, push(supervise.Failed), stateApplied, nil, led.Camera},
		{"a push is down", []cameraReport{warm}, push(supervise.Reconnecting), stateApplied, nil, led.Upstream},
		{"too hot", []cameraReport{cold}, nil, stateApplied, grave, led.Hardware},
		{"a mistake in a file", []cameraReport{warm}, nil, stateRejected, grave, led.Rejected},
	} {
		if got := patternOf(row.cameras, row.pushes, api.ConfigStatus{State: row.state}, row.box); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// TestBeacon drives an LED that is a file.
func TestBeacon(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "sys/class/leds/green:status")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"trigger": "[heartbeat]", "brightness": "0", "max_brightness": "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(file, want string) func() bool {
		return func() bool {
			text, err := os.ReadFile(filepath.Join(dir, file))
			return err == nil && strings.HasPrefix(string(text), want)
		}
	}
	b := newBeacon(root, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	if b.identify() {
		t.Error("there is an LED before one is chosen")
	}
	b.use("red:nothing")
	b.use("auto")
	await(t, "the LED is taken over", has("trigger", "none"))
	b.show(led.Dark)
	await(t, "it is dark", has("brightness", "0"))
	b.show(led.Well)
	await(t, "it is lit", has("brightness", "1"))
	if !b.identify() {
		t.Error("it cannot show which box it is")
	}
	await(t, "it blinks", has("brightness", "0"))
	b.use("")
	await(t, "it is given back", has("trigger", "heartbeat"))
	if b.identify() {
		t.Error("there is an LED still")
	}
	// The kernel, other than a file, tells again which trigger it is.
	if err := os.WriteFile(filepath.Join(dir, "trigger"), []byte("[heartbeat]"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.use("green:status")
	await(t, "it is taken over again", has("trigger", "none"))
	stop()
	<-done
	await(t, "it is given back at the end", has("trigger", "heartbeat"))
}
