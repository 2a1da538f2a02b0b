package relay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// rig is a relay with one path whose camera is played by the test.
type rig struct {
	relay    *Relay
	sessions *session.Registry
	path     *Path
	starts   atomic.Int32
	running  atomic.Bool
	dead     atomic.Bool // the camera never delivers
}

var track = &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG, ClockRate: 90000}

func newRig(t *testing.T, policy Policy, open bool) *rig {
	t.Helper()
	access := auth.New(slog.New(slog.DiscardHandler))
	access.Set(auth.Rules{Open: open})
	r := &rig{sessions: session.NewRegistry(nil)}
	r.relay = New(Config{Sessions: r.sessions, Access: access}, slog.New(slog.DiscardHandler))
	r.path = r.relay.Put("gate", policy)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// Its only error is that of ctx.
		_ = r.path.Pull(ctx, supervise.Policy{}, r.camera)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		r.relay.Drop("gate")
	})
	return r
}

// camera delivers from half a second after its start on.
func (r *rig) camera(ctx context.Context, active func()) error {
	r.starts.Add(1)
	r.running.Store(true)
	defer r.running.Store(false)
	select {
	case <-time.After(500 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	if !r.dead.Load() {
		r.path.Stream().SetTracks([]*media.Track{track})
		active()
	}
	<-ctx.Done()
	return ctx.Err()
}

var onDemand = Policy{IdleAfter: 20 * time.Second, StartTimeout: 10 * time.Second}

var request = hub.Request{Path: "gate", Protocol: "rtsp", Remote: "192.0.2.1:5000"}

func TestWarmRunsWithoutViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := onDemand
		policy.Warm = true
		r := newRig(t, policy, true)
		time.Sleep(time.Hour)
		if r.starts.Load() != 1 || !r.running.Load() || r.path.State().Phase != supervise.Active {
			t.Errorf("%d starts, state %s; want one and active", r.starts.Load(), r.path.State().Phase)
		}
	})
}

func TestOnDemandLivesAsLongAsItsViewersAndABit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, onDemand, true)
		time.Sleep(time.Hour)
		if r.starts.Load() != 0 {
			t.Fatal("started without a viewer")
		}
		first, err := r.relay.Subscribe(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		second, err := r.relay.Subscribe(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		first.Close(nil)
		time.Sleep(time.Minute)
		if !r.running.Load() {
			t.Fatal("closed under a viewer")
		}
		second.Close(nil)
		second.Close(nil)
		time.Sleep(19 * time.Second)
		if !r.running.Load() {
			t.Error("closed before idle_after")
		}
		time.Sleep(2 * time.Second)
		if r.running.Load() || r.path.State().Phase != supervise.Idle {
			t.Errorf("state %s after idle_after, want idle", r.path.State().Phase)
		}
		if r.starts.Load() != 1 || len(r.sessions.List()) != 0 {
			t.Errorf("%d starts, sessions %v", r.starts.Load(), r.sessions.List())
		}
	})
}

func TestAReaderWithinTheDelayKeepsTheCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, onDemand, true)
		for range 5 {
			sub, err := r.relay.Subscribe(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			sub.Close(nil)
			time.Sleep(15 * time.Second)
		}
		if r.starts.Load() != 1 || !r.running.Load() {
			t.Errorf("%d starts, want one camera that still runs", r.starts.Load())
		}
	})
}

func TestPolicyChangesWithoutAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		warm := onDemand
		warm.Warm = true
		r := newRig(t, warm, true)
		time.Sleep(time.Minute)
		r.relay.Put("gate", onDemand)
		time.Sleep(10 * time.Second)
		r.relay.Put("gate", warm)
		time.Sleep(time.Minute)
		if r.starts.Load() != 1 {
			t.Errorf("%d starts, want 1", r.starts.Load())
		}
		r.relay.Put("gate", onDemand)
		time.Sleep(21 * time.Second)
		if r.running.Load() {
			t.Error("runs on without demand")
		}
	})
}

func TestSubscribeSaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := newRig(t, onDemand, false)
		if _, err := closed.relay.Subscribe(t.Context(), request); !errors.Is(err, hub.ErrDenied) {
			t.Errorf("closed access: %v, want ErrDenied", err)
		}
		r := newRig(t, onDemand, true)
		unknown := request
		unknown.Path = "nope"
		if _, err := r.relay.Subscribe(t.Context(), unknown); !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("unknown path: %v, want ErrNotFound", err)
		}
		r.dead.Store(true)
		began := time.Now()
		if _, err := r.relay.Subscribe(t.Context(), request); !errors.Is(err, hub.ErrUnavailable) {
			t.Errorf("dead camera: %v, want ErrUnavailable", err)
		}
		if waited := time.Since(began); waited != onDemand.StartTimeout {
			t.Errorf("waited %v, want %v", waited, onDemand.StartTimeout)
		}
		if n := len(r.path.Claims()); n != 0 {
			t.Errorf("%d claims left by those who were refused", n)
		}
	})
}

func TestDropEndsViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, onDemand, true)
		sub, err := r.relay.Subscribe(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		r.relay.Drop("gate")
		<-sub.Context.Done()
		if cause := context.Cause(sub.Context).Error(); !strings.Contains(cause, errRemoved.Error()) || !sub.Stream.Closed() {
			t.Errorf("cause %v, stream closed %v", context.Cause(sub.Context), sub.Stream.Closed())
		}
		sub.Close(context.Cause(sub.Context))
	})
}
