package relay

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

func TestUnknownNamesAreAskedForOnce(t *testing.T) {
	source := Decision{Source: Source{URL: "rtsp://192.0.2.9/"}}
	refused := media.Fail(media.ClassRefused, errors.New("cannot connect: connection refused"))
	tests := []struct {
		name    string
		answer  Decision
		err     error
		after   time.Duration // that the hook takes
		failure error         // of the camera
		want    error         // of all viewers
		words   string
		told    string // to viewers
		starts  int32
		took    time.Duration // at most
	}{
		{"the hook names a source", source, nil, time.Second, nil, nil, "", "", 1, 2 * time.Second},
		{
			"the source is dead", source,
			nil, 0, refused, hub.ErrUnavailable, "connection refused",
			"the camera, or its stream, is not there", 1, time.Second,
		},
		{
			"the hook says close",
			Decision{Close: true, Reason: "not yours"},
			nil, time.Second, nil, hub.ErrNotFound, "not yours",
			"no such stream: not yours", 0, time.Second,
		},
		{"there is no hook", Decision{}, ErrNoHook, 0, nil, hub.ErrNotFound, "", "no such stream", 0, 0},
		{
			"the hook is down",
			Decision{},
			errors.New("refused"), time.Second, nil, hub.ErrNotFound, "",
			"no such stream", 0, time.Second,
		},
		{
			"nobody adds the path",
			Decision{},
			nil, 0, nil, hub.ErrNotFound, "in time",
			"no such stream: nobody has added it in time", 0, notFoundTimeout,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.fail(tt.failure)
				s.lookup = func(context.Context, hub.Request) (Decision, error) {
					time.Sleep(tt.after)
					return tt.answer, tt.err
				}
				errs, took := s.crowd("lazy")
				for i, err := range errs {
					if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.words) {
						t.Errorf("viewer %d: %v, want %v, %q", i, err, tt.want, tt.words)
					}
					if err != nil && hub.Reason(err) != tt.told {
						t.Errorf("viewer %d is told %q, want %q", i, hub.Reason(err), tt.told)
					}
				}
				if s.asked.Load() != 1 || s.starts.Load() != tt.starts || took > tt.took {
					t.Errorf("asked %d times, %d connections, %v; want 1, %d, at most %v",
						s.asked.Load(), s.starts.Load(), took, tt.starts, tt.took)
				}
				if n := len(s.told(NotFound)); n != 1 {
					t.Errorf("told %d times, want once", n)
				}
			})
		})
	}
}

func TestAPathMayBeAddedWhileTheHookIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.lookup = func(ctx context.Context, _ hub.Request) (Decision, error) {
			s.add("lazy", s.policy)
			<-ctx.Done()
			return Decision{}, ctx.Err()
		}
		errs, took := s.crowd("lazy")
		if errs[0] != nil || took > time.Second {
			t.Errorf("%v after %v", errs[0], took)
		}
		time.Sleep(time.Minute) // until the hook has given up
	})
}

func TestTheHookSeesNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var seen hub.Request
		s.lookup = func(_ context.Context, req hub.Request) (Decision, error) {
			seen = req
			return Decision{Close: true}, nil
		}
		req := hub.Request{
			Path: "lazy", User: "alice", Password: "secret", Token: "secret",
			Query: url.Values{"token": {"secret"}, "a": {"b"}}, Protocol: "rtsp", Remote: "192.0.2.1:5000",
		}
		if _, err := s.relay.Subscribe(t.Context(), req); !errors.Is(err, hub.ErrNotFound) {
			t.Fatal(err)
		}
		if seen.Password != "" || seen.Token != "" || seen.Query.Has("token") || seen.Query.Get("a") != "b" ||
			seen.Remote != req.Remote || !req.Query.Has("token") {
			t.Errorf("the hook got %+v", seen)
		}
	})
}

func TestARefusalStandsForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.lookup = func(context.Context, hub.Request) (Decision, error) { return Decision{Close: true}, nil }
		for range 10 {
			s.crowd("lazy")
			time.Sleep(100 * time.Millisecond)
		}
		if s.asked.Load() != 1 {
			t.Errorf("asked %d times in a second, want once", s.asked.Load())
		}
		s.crowd("lazy")
		if s.asked.Load() != 2 {
			t.Errorf("asked %d times, want again after a second", s.asked.Load())
		}
	})
}

func TestWhoAskedFirstMayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.lookup = func(ctx context.Context, _ hub.Request) (Decision, error) {
			time.Sleep(2 * time.Second)
			return Decision{Source: Source{URL: "rtsp://192.0.2.9/"}}, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.relay.Subscribe(ctx, hub.Request{Path: "lazy"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first: %v", err)
		}
		s.watch("lazy").Close(nil)
		if s.asked.Load() != 1 {
			t.Errorf("asked %d times, want once", s.asked.Load())
		}
	})
}

func TestRuntimePathsAreLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.add("run", s.policy)
		time.Sleep(19 * time.Second)
		s.watch("run").Close(nil)
		release, ok := s.relay.Claim("run", Claim{ID: "k1", Kind: ClaimKeepalive, By: "bob", Starts: true, Holds: true})
		if !ok {
			t.Fatal("cannot claim the path")
		}
		time.Sleep(24 * time.Hour)
		if s.relay.Path("run") != p || s.starts.Load() != 1 {
			t.Fatalf("the path went under a keepalive, or was connected %d times", s.starts.Load())
		}
		release()
		time.Sleep(19 * time.Second)
		s.expect(true, "within idle_after")
		time.Sleep(2 * time.Second)
		s.expect(false, "after idle_after")
		if s.relay.Path("run") != nil || !p.Stream().Closed() || len(s.told(PathExpired)) != 1 {
			t.Errorf("the path is still there, events %v", s.events)
		}
		if _, ok := s.relay.Claim("run", Claim{Kind: ClaimKeepalive}); ok {
			t.Error("a path that has gone can be claimed")
		}
		s.add("unused", s.policy)
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if s.relay.Path("unused") != nil || len(s.expired) != 2 {
			t.Errorf("a path that was never wanted is still there, expired %v", s.expired)
		}
	})
}

func TestQueriesEndWithTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.lookup = func(ctx context.Context, _ hub.Request) (Decision, error) {
			<-ctx.Done()
			return Decision{}, ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.relay.Run(ctx) }()
		viewer := make(chan error, 1)
		go func() {
			_, err := s.relay.Subscribe(t.Context(), hub.Request{Path: "lazy"})
			viewer <- err
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(began) > 0 {
			t.Errorf("Run returned %v after %v", err, time.Since(began))
		}
		if err := <-viewer; !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("who waited got %v", err)
		}
		if _, err := s.relay.Subscribe(t.Context(), hub.Request{Path: "later"}); !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("who came later got %v", err)
		}
	})
}
