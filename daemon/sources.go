package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"sync"

	"camrelay/daemon/reconcile"
	"camrelay/daemon/relay"
	"camrelay/media"
	"camrelay/media/camera"
)

// sources are the paths that were added at run time, by a hook's answer or
// through the API. They are leases: a path that nobody wants for its idle time
// goes, and none of them touches a file. A camera of the configuration takes
// precedence over a source of its name.
type sources struct {
	relay   *relay.Relay
	cameras *cameras
	removed func(path string) // what else a path has left is removed
	log     *slog.Logger
	set     *reconcile.Set[string, sourceSpec]

	mu     sync.Mutex // guards what follows
	all    map[string]sourceSpec
	last   uint64 // number of the last source
	policy relay.Policy
	config map[string]bool // names of the configuration's cameras
	closed bool
}

// sourceSpec is one source. A source that is added again is another one.
type sourceSpec struct {
	cameraSpec
	number uint64
}

func newSources(r *relay.Relay, c *cameras, removed func(string), log *slog.Logger) *sources {
	s := &sources{relay: r, cameras: c, removed: removed, log: log, all: make(map[string]sourceSpec)}
	s.set = reconcile.New(s.run)
	return s
}

// Errors of Add, to be tested with errors.Is.
var (
	errTaken  = errors.New("a path of this name exists")
	errMasked = errors.New("the source holds *** in the place of a secret: give the secret itself")
	errSource = errors.New("the source is no rtsp or rtsps URL with a host")
	errName   = errors.New("bad name: want parts of 1 to 64 of a-z, 0-9, _ and -, separated by slashes")
	errClosed = errors.New("the daemon stops")
	errMany   = fmt.Errorf("there are %d paths that were added already", maxSources)
)

// maxSources bounds the paths at one time: a hook may answer whatever strangers ask for.
const maxSources = 256

// maxSourceName is the length of the longest name of a source.
const maxSourceName = 128

// sourceName is the form of names of sources.
var sourceName = regexp.MustCompile(`^[a-z0-9_-]{1,64}(/[a-z0-9_-]{1,64}){0,3}$`)

// Add makes the path and its pull exist. It implements relay.Sources.
func (s *sources) Add(_ context.Context, name string, source relay.Source) error {
	spec, err := specOf(source.URL)
	if err != nil {
		return err
	}
	if !sourceName.MatchString(name) || len(name) > maxSourceName {
		return errName
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.config[name], s.relay.Path(name) != nil:
		return errTaken
	case len(s.all) >= maxSources:
		return errMany
	}
	s.last++
	s.all[name] = sourceSpec{cameraSpec{spec}, s.last}
	s.relay.Put(name, s.policy)
	s.apply()
	s.log.Info("path added", "cam", name)
	return nil
}

// Remove ends a path that was added, and tells whether there was one.
func (s *sources) Remove(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.all[name]
	if ok {
		s.remove(name)
	}
	return ok
}

// url returns the URL of a source, empty if there is none of that name.
func (s *sources) url(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[name].URL
}

// sourceURL returns the URL of a path's camera, without secrets.
func (d *daemon) sourceURL(path string) string {
	raw := cmp.Or(d.current.Load().cameras[path].URL, d.sources.url(path))
	if raw == "" {
		return ""
	}
	return media.RedactURL(raw)
}

// remove ends the path and waits for its pull. mu is held.
func (s *sources) remove(name string) {
	delete(s.all, name)
	s.apply()
	s.mu.Unlock() // run may want it
	s.set.Wait(name)
	s.mu.Lock()
	if _, again := s.all[name]; !again && !s.config[name] {
		s.relay.Drop(name)
		s.cameras.forget(name)
		s.removed(name)
	}
}

// apply runs what all says. mu is held.
func (s *sources) apply() { s.set.Apply(context.Background(), s.all) }

// configure takes the policy of sources and the names of the configuration's
// cameras, which take the place of sources of their names.
func (s *sources) configure(policy relay.Policy, names map[string]relay.Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = policy
	s.config = make(map[string]bool, len(names))
	for name := range names {
		s.config[name] = true
	}
	for name := range maps.Clone(s.all) {
		if s.config[name] {
			s.remove(name)
			continue
		}
		s.relay.Put(name, policy)
	}
}

// has tells whether the path was added at run time.
func (s *sources) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.all[name]
	return ok
}

// run pulls one source until it is removed or nobody wants it any more.
func (s *sources) run(ctx context.Context, name string, spec sourceSpec) {
	s.cameras.run(ctx, name, spec.cameraSpec)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[name] != spec {
		return // it was added again meanwhile
	}
	delete(s.all, name)
	s.cameras.forget(name)
	s.removed(name)
	s.log.Info("path removed, nobody wants it", "cam", name)
}

// Close ends all of them and takes no more.
func (s *sources) Close() {
	s.mu.Lock()
	s.closed = true
	clear(s.all)
	s.mu.Unlock()
	s.set.Close()
}

// specOf reads the URL of a source. Its errors do not quote it.
func specOf(raw media.Secret) (camera.Spec, error) {
	if media.Masked(raw.Reveal()) {
		return camera.Spec{}, errMasked
	}
	u, err := url.Parse(raw.Reveal())
	if err != nil || u.Hostname() == "" || u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return camera.Spec{}, errSource
	}
	var spec camera.Spec
	if u.User != nil {
		password, _ := u.User.Password()
		spec.Username, spec.Password = u.User.Username(), media.Secret(password)
		u.User = nil
	}
	spec.URL = u.String()
	if len(spec.URL) > maxSourceURL {
		return camera.Spec{}, fmt.Errorf("the source's URL is longer than %d bytes", maxSourceURL)
	}
	return spec, nil
}

const maxSourceURL = 2048
