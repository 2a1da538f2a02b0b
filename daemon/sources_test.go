package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/media"
)

// sourceRig is sources whose cameras are all out of reach.
type sourceRig struct {
	*sources

	relay   *relay.Relay
	removed chan string
}

func newSourceRig(t *testing.T, idleAfter time.Duration) sourceRig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	r := sourceRig{removed: make(chan string, 10)}
	sessions := session.NewRegistry(nil)
	r.relay = relay.New(relay.Config{Sessions: sessions, Access: auth.New(log)}, log)
	r.sources = newSources(r.relay, newCameras(r.relay, sessions, log), func(name string) { r.removed <- name }, log)
	r.configure(relay.Policy{Runtime: true, IdleAfter: idleAfter, StartTimeout: time.Second}, nil)
	t.Cleanup(r.Close)
	return r
}

const nowhere = media.Secret("rtsp://user:word@127.0.0.1:1/x")

func TestAPathIsAddedOnce(t *testing.T) {
	r := newSourceRig(t, time.Hour)
	if err := r.Add(t.Context(), "yard/left", relay.Source{URL: nowhere}); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(t.Context(), "yard/left", relay.Source{URL: nowhere}); !errors.Is(err, errTaken) {
		t.Errorf("the second time: %v", err)
	}
	if r.relay.Path("yard/left") == nil || !r.has("yard/left") {
		t.Error("the path is not there")
	}
	if !r.Remove("yard/left") || r.Remove("yard/left") || r.relay.Path("yard/left") != nil {
		t.Error("the path was not removed once")
	}
	if got := <-r.removed; got != "yard/left" {
		t.Errorf("removed %s", got)
	}
}

// TestSourcesAreBounded: one that goes makes room for another.
func TestSourcesAreBounded(t *testing.T) {
	r := newSourceRig(t, time.Hour)
	for n := range maxSources {
		if err := r.Add(t.Context(), fmt.Sprint("a", n), relay.Source{URL: nowhere}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(t.Context(), "b", relay.Source{URL: nowhere}); !errors.Is(err, errMany) || r.relay.Path("b") != nil {
		t.Errorf("one more: %v", err)
	}
	r.Remove("a0")
	<-r.removed
	if err := r.Add(t.Context(), "b", relay.Source{URL: nowhere}); err != nil {
		t.Errorf("in the place of another: %v", err)
	}
}

func TestBadSourcesAreRefusedWithoutBeingQuoted(t *testing.T) {
	r := newSourceRig(t, time.Hour)
	for name, c := range map[string]struct {
		path string
		url  media.Secret
		want error
	}{
		"no URL":              {"a", "", errSource},
		"no host":             {"a", "rtsp:///secret", errSource},
		"another scheme":      {"a", "file:///secret", errSource},
		"not to be parsed":    {"a", "rtsp://u:secret@h:port/", errSource},
		"a path that climbs":  {"../a", nowhere, errName},
		"an upper-case name":  {"A", nowhere, errName},
		"an endless name":     {strings.Repeat("a", 65), nowhere, errName},
		"too many parts":      {"a/b/c/d/e", nowhere, errName},
		"a slash at the end":  {"a/", nowhere, errName},
		"two slashes in turn": {"a//b", nowhere, errName},
	} {
		err := r.Add(t.Context(), c.path, relay.Source{URL: c.url})
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestSourcesAreCameras: no scheme but that of a camera, so that neither the API
// nor a hook makes the box read files, run programs or ask what is beside it.
func TestSourcesAreCameras(t *testing.T) {
	r := newSourceRig(t, time.Hour)
	for _, scheme := range []string{
		"http", "https", "file", "exec", "ffmpeg", "rtmp", "srt", "udp", "ftp", "gopher", "data", "unix", "rtsp+exec", "echo",
		"rtspx", "javascript", "dict", "ldap", "rtsp%00http",
	} {
		source := relay.Source{URL: media.Secret(scheme + "://127.0.0.1:9/latest/meta-data")}
		if err := r.Add(t.Context(), "a", source); !errors.Is(err, errSource) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
	for _, name := range []string{"~^gate$", "gate.*", "$G1", "rtsp://127.0.0.1/x", "a%2fb", "a\nb", "${cred:x}"} {
		if err := r.Add(t.Context(), name, relay.Source{URL: nowhere}); !errors.Is(err, errName) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

func TestAPathThatNobodyWantsGoesAndMayComeBack(t *testing.T) {
	r := newSourceRig(t, 20*time.Millisecond)
	for range 3 {
		if err := r.Add(t.Context(), "a", relay.Source{URL: nowhere}); err != nil {
			t.Fatal(err)
		}
		<-r.removed
		if r.has("a") || r.relay.Path("a") != nil {
			t.Error("the path is still there")
		}
	}
}

func TestACameraOfTheConfigurationTakesTheName(t *testing.T) {
	r := newSourceRig(t, time.Hour)
	for _, name := range []string{"a", "b"} {
		if err := r.Add(t.Context(), name, relay.Source{URL: nowhere}); err != nil {
			t.Fatal(err)
		}
	}
	r.configure(relay.Policy{Runtime: true, IdleAfter: time.Hour}, map[string]relay.Policy{"a": {}})
	if r.has("a") || !r.has("b") {
		t.Error("a is a source still, or b is none any more")
	}
	if err := r.Add(t.Context(), "a", relay.Source{URL: nowhere}); !errors.Is(err, errTaken) {
		t.Errorf("added beside the configuration: %v", err)
	}
}

func TestAClosedDaemonTakesNoSources(t *testing.T) {
	r := newSourceRig(t, time.Hour)
	r.Close()
	if err := r.Add(t.Context(), "a", relay.Source{URL: nowhere}); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

func TestCredentialsOfASourceLeaveItsURL(t *testing.T) {
	spec, err := specOf("rtsp://ad%40min:p%3Ass@192.0.2.1:8554/live?x=1")
	if err != nil || spec.Username != "ad@min" || spec.Password.Reveal() != "p:ss" ||
		spec.URL != "rtsp://192.0.2.1:8554/live?x=1" {
		t.Errorf("%+v, %v", spec, err)
	}
}
