package hls

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"camrelay/media/accept"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// Server knows the packagers by name and the sessions of their viewers, and
// serves both as an http.Handler. Package may be called, and requests may come,
// before Run and after it: without it nobody is admitted.
type Server struct {
	root    *os.Root
	budget  *Budget
	opener  hub.Opener
	view    View
	outlive func() bool // as in Muxer
	log     *slog.Logger

	demand chan demand   // to Run
	busy   chan struct{} // to Run, capacity 1: something may be due earlier
	zip    sync.Pool     // of *gzip.Writer
	cfg    Config
	epoch  *epoch
	places *accept.Places // of sessions
	held   *accept.Places // of requests that wait

	mu       sync.Mutex // guards what follows
	running  map[product]*packaging
	changed  chan struct{}       // closed and replaced when running changes
	ended    map[product]numbers // of streams that are not packaged now
	sessions map[sessionKey]*session
	away     map[sessionKey]time.Time // until when who was sent away is told so
	ladders  map[string][]string      // the streams of a multivariant playlist, by its stream
	serving  bool                     // Run runs
}

// NewServer returns a Server of files below root. open is asked once for each
// viewer, with the protocol "hls".
func NewServer(cfg Config, root *os.Root, budget *Budget, open hub.Opener, log *slog.Logger) *Server {
	return &Server{
		root: root, budget: budget, opener: open, view: whole, outlive: func() bool { return false }, log: log, cfg: cfg,
		epoch:    newEpoch(root),
		demand:   make(chan demand),
		busy:     make(chan struct{}, 1),
		zip:      sync.Pool{New: newZip},
		running:  make(map[product]*packaging),
		changed:  make(chan struct{}),
		ended:    make(map[product]numbers),
		sessions: make(map[sessionKey]*session),
		places:   accept.NewPlaces(accept.Limits{All: maxSessions, FromOne: maxSessionsFrom}),
		held:     accept.NewPlaces(accept.Limits{All: maxHeld, FromOne: maxHeldFrom}),
		away:     make(map[sessionKey]time.Time),
		ladders:  make(map[string][]string),
	}
}

// Through makes view tell what is packaged of streams. It is called before Run
// and Package, if at all.
func (s *Server) Through(view View) { s.view = view }

// Outlive leaves all files to the next process if now tells so when packaging
// ends; else they are removed then. It is called before Run and Package, if at
// all.
func (s *Server) Outlive(now func() bool) { s.outlive = now }

// newZip returns a writer for playlists, which many viewers want at once.
func newZip() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic("hls: internal error: " + err.Error())
	}
	return z
}

// Run admits viewers, packages on demand what they watch and nobody packages,
// and ends sessions that have gone quiet, until ctx is done; then it returns
// nil when all of that has ended.
func (s *Server) Run(ctx context.Context) error {
	s.cleanAll()
	s.setServing(true)
	var packagers sync.WaitGroup
	due := time.NewTimer(0) // of the next sweep
	defer due.Stop()
	old := time.NewTimer(outdated + time.Second)
	defer old.Stop()
	for {
		select {
		case <-ctx.Done():
			s.setServing(false)
			s.endAll(context.Cause(ctx))
			packagers.Wait()
			return nil
		case d := <-s.demand:
			packagers.Go(func() { s.panicked(d.stream, s.pack(ctx, d, true)) })
		case <-old.C:
			s.cleanAll()
		case <-s.busy:
			due.Reset(0)
		case now := <-due.C:
			if next := s.sweep(now); !next.IsZero() {
				due.Reset(next.Sub(now))
			}
		}
	}
}

func (s *Server) setServing(v bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = v
}

// cleanAll removes the segments that a crash has left in the directories of
// streams that are not packaged now.
func (s *Server) cleanAll() {
	d, err := s.root.Open(".")
	if err != nil {
		s.log.Warn("cannot list HLS segments", "err", err)
		return
	}
	defer d.Close() // it was only read
	entries, err := d.ReadDir(-1)
	for _, e := range entries {
		if stream := streamOf(e.Name()); e.IsDir() && httpdoor.IsStream(stream) {
			for _, f := range forms() {
				err = errors.Join(err, s.clean(product{stream, f}))
			}
		}
	}
	if err != nil {
		s.log.Warn("cannot remove old HLS segments", "err", err)
	}
}

// clean removes the segments of a stream unless it is packaged.
func (s *Server) clean(of product) error {
	_, err := s.vacant(of, func() error {
		files := store{root: s.root, dir: dirOf(of.name), form: of.form}
		if left, _ := files.left(time.Now()); left != nil {
			return nil // whoever packages it will inherit it
		}
		return files.clean(nil)
	})
	return err
}

// wake makes Run sweep.
func (s *Server) wake() {
	select {
	case s.busy <- struct{}{}:
	default:
	}
}

// Status returns the figures of the stream of that name, of its CMAF segments if
// there are any; ok is false if it is not packaged now.
func (s *Server) Status(name string) (st Status, ok bool) {
	s.mu.Lock()
	p := s.running[product{name, fragmented}]
	if p == nil || p.muxer == nil {
		p = s.running[product{name, transport}]
	}
	viewers := 0
	for k := range s.sessions {
		if k.name == name {
			viewers++
		}
	}
	s.mu.Unlock()
	if p == nil || p.muxer == nil {
		return Status{}, false
	}
	st = p.muxer.Status()
	st.Viewers = viewers
	return st, true
}
