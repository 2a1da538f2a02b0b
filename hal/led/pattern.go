package led

import (
	"context"
	"time"
)

// Pattern is what an LED shows.
type Pattern string

// The patterns.
const (
	Booting  Pattern = "booting"  // fast blink: it starts
	Setup    Pattern = "setup"    // slow blink: no camera is configured
	Well     Pattern = "well"     // lit: all cameras are warm, all pushes up
	Camera   Pattern = "camera"   // double blink: a camera is down
	Upstream Pattern = "upstream" // triple blink: a push is down
	Rejected Pattern = "rejected" // long and short in turn: the configuration has mistakes
	Hardware Pattern = "hardware" // four blinks: heat, power or memory
	Identify Pattern = "identify" // strobe: this is the box that somebody looks for
	Dark     Pattern = "dark"
)

// steps returns how long the LED is lit and dark in turn, beginning with lit; it
// repeats. One step is for ever.
func (p Pattern) steps() []time.Duration {
	const ms = time.Millisecond
	switch p {
	case Booting:
		return []time.Duration{125 * ms, 125 * ms}
	case Setup:
		return []time.Duration{1000 * ms, 1000 * ms}
	case Camera:
		return blinks(2)
	case Upstream:
		return blinks(3)
	case Hardware:
		return blinks(4)
	case Rejected:
		return []time.Duration{800 * ms, 200 * ms, 200 * ms, 200 * ms}
	case Identify:
		return []time.Duration{40 * ms, 60 * ms}
	case Well:
		return []time.Duration{0}
	case Dark:
	}
	return nil
}

// blinks is n blinks and a pause.
func blinks(n int) []time.Duration {
	const short, pause = 150 * time.Millisecond, 1200 * time.Millisecond
	all := make([]time.Duration, 2*n)
	for i := range all {
		all[i] = short
	}
	all[2*n-1] = pause
	return all
}

// Light is what a pattern is shown on.
type Light interface {
	Light(on bool) error
}

// Show shows the newest pattern of next on l until ctx is done, and darkness before
// there is one. Where an LED cannot be set it goes on, failed is told each time. An LED that is
// lit or dark costs nothing.
func Show(ctx context.Context, l Light, next <-chan Pattern, failed func(error)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var steps []time.Duration
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return
		case p := <-next:
			steps, i = p.steps(), 0
		case <-timer.C:
		}
		if err := l.Light(len(steps) > 0 && i%2 == 0); err != nil {
			failed(err)
		}
		if len(steps) < 2 {
			timer.Stop()
			continue
		}
		timer.Reset(steps[i])
		i = (i + 1) % len(steps)
	}
}
