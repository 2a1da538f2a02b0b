package hls

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"camrelay/media/cmaf"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// player is one by DASH.
type player struct {
	*rig
	query string
}

// arrive lets a player in, whose manifest names its session.
func (r *rig) arrive() player {
	r.tb.Helper()
	v, err := r.enter()
	if err != nil {
		r.tb.Fatal(err)
	}
	defer v.Leave(1, true)
	return player{r, v.Windows(r.tb.Context())[0].Query}
}

// asks is a request of the player for a segment.
func (p player) asks(s cmaf.Segment) (*Growing, error) {
	p.tb.Helper()
	req := httptest.NewRequest(http.MethodGet, "/gate/dash-x.m4s"+p.query, nil)
	v, err := p.server.Enter(req, "gate", "dash", false)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.tb.Cleanup(func() { v.Leave(1, true) })
	return v.Open(p.tb.Context(), s.Session, s.Ticks())
}

// holds has the player ask n times for what grows yet, and once more in vain.
func (p player) holds(n int) (all []*Growing) {
	p.tb.Helper()
	segments := p.muxer.window().Segments
	open := segments[len(segments)-1]
	for i := range n {
		g, err := p.asks(open)
		if err != nil || !open.Open {
			p.tb.Fatalf("request %d of %d: %v, for %+v", i, n, err, open)
		}
		all = append(all, g)
	}
	if _, err := p.asks(open); !errors.Is(err, hub.ErrUnavailable) || !errors.Is(err, errHeldTooMany) {
		p.tb.Fatalf("request %d, one too many: %v", n, err)
	}
	return all
}

func (p player) wantHeld(n int) {
	p.tb.Helper()
	if held := p.server.held.Taken(); held != n {
		p.tb.Errorf("%d requests are held, want %d", held, n)
	}
}

// TestSegmentsThatGrowAreHeld has a player ask for as many segments that grow as it
// may, and one more; what is complete it gets all the same, and the next one that
// grows before it has had the last bytes.
func TestSegmentsThatGrowAreHeld(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := timed(t, t.TempDir())
	r.deliver()
	p := r.arrive()
	held := p.holds(maxHeldBy)
	whole, err := p.asks(r.muxer.window().Segments[0])
	if err != nil {
		t.Fatalf("what is complete: %v", err)
	}
	p.wantHeld(maxHeldBy)
	other, err := r.arrive().asks(r.muxer.window().Segments[4])
	if err != nil {
		t.Fatalf("another player: %v", err)
	}
	held[0].Close()
	held[0].Close()
	again, err := p.asks(r.muxer.window().Segments[4])
	if err != nil {
		t.Fatalf("after one was given up: %v", err)
	}
	if size, complete, err := again.Size(t.Context(), 0); err != nil || complete || size == 0 {
		t.Fatalf("%d bytes, complete %v, %v", size, complete, err)
	}
	p.wantHeld(maxHeldBy + 1)

	fed := len(clip.Until(4500 * time.Millisecond))
	r.feed(clip.Until(5500 * time.Millisecond)[fed:]...)
	for _, g := range append(held[1:], again, other) {
		if _, complete, err := g.Size(t.Context(), math.MaxInt64); err != nil || !complete {
			t.Fatalf("complete %v, %v", complete, err)
		}
	}
	p.wantHeld(0)
	held = append(append(held[1:], p.holds(maxHeldBy)...), again, other, whole)
	for _, g := range held {
		g.Close()
	}
	p.wantHeld(0)
}

// TestSegmentsThatGrowAreHeldAtOneAddress has players that cannot be told apart ask for
// as many as one address may, and one more.
func TestSegmentsThatGrowAreHeldAtOneAddress(t *testing.T) {
	r := timed(t, t.TempDir())
	r.deliver()
	p := player{rig: r}
	for _, g := range p.holds(maxHeldFrom) {
		g.Close()
	}
	p.wantHeld(0)
}
