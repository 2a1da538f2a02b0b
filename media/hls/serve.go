package hls

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"camrelay/media"
	"camrelay/media/hls/playlist"
)

// compressible is the size from which on a playlist is worth compressing: it
// does not fit one packet anyway.
const compressible = 1200

func (s *Server) serve(w *counter, r *http.Request, name, file string) {
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.StartTimeout)
	defer cancel()
	v, key := s.newVisit(r, name, file)
	ss, err := s.enter(ctx, v, key)
	if err != nil {
		fail(w, err)
		return
	}
	defer s.leave(ss)
	defer func() { ss.sub.Sent.Add(w.n) }()
	text, err := s.look(ctx, w, r, ss, v)
	if v.fresh && (err != nil || r.Method == http.MethodHead) {
		s.end(key, ss, errUntold)
	}
	switch {
	case err != nil:
		fail(w, err)
	case text != nil:
		s.servePlaylist(w, r, text)
	}
}

// errUntold ends the session of a player that was not told of it.
var errUntold = media.EndedBy(media.ErrClosedHere, "there was no playlist to tell the player of its session")

// look returns the playlist that the viewer asks for, or serves a file. ctx
// bounds how long it waits for the camera.
func (s *Server) look(ctx context.Context, w *counter, r *http.Request, ss *session, v visit) (text []byte, err error) {
	p, err := s.shown(ctx, ss, v)
	if err != nil {
		return nil, err
	}
	if !isPlaylist(v.file) {
		s.pace(ss, p.muxer.target())
		return nil, s.serveMedia(w, r, ss, p, v.file)
	}
	soon := p.muxer.stocked
	if v.file == multivariantName {
		soon = nil // it tells of tracks, and those of another process are not known
	}
	if err := p.wait(ctx, ss.gone, soon); err != nil {
		return nil, err
	}
	switch v.file {
	case multivariantName:
		text, err = s.multivariant(ctx, v, p.muxer)
	case livePlaylist:
		text, err = s.live(r, ss, v, p)
	default:
		text, err = s.plain(v, p.muxer)
	}
	if err != nil {
		return nil, err
	}
	s.pace(ss, p.muxer.target())
	return text, nil
}

func (s *Server) plain(v visit, m *Muxer) ([]byte, error) {
	s.settle(m)
	text, err := m.plain()
	if err != nil {
		return nil, err
	}
	return text.With(v.suffix(v.name), 0), nil
}

// live returns the low-latency playlist as soon as it has what the player asks
// for.
func (s *Server) live(r *http.Request, ss *session, v visit, p *packaging) ([]byte, error) {
	m := p.muxer
	d, err := parseDirectives(r.URL.Query())
	if err != nil {
		return nil, err
	}
	s.settle(m)
	if d.block {
		if err := m.await(r.Context(), s.waiter(ss, p), func() (bool, error) { return m.reached(d) }); err != nil {
			return nil, err
		}
	}
	text, err := m.lowLatency(d.skip)
	if err != nil {
		return nil, err
	}
	reports := s.reports(v)
	b := text.With(v.suffix(v.name), 160*len(reports))
	for _, report := range reports {
		b = playlist.AppendReport(b, report)
	}
	return b, nil
}

func (s *Server) servePlaylist(w *counter, r *http.Request, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	if len(text) < compressible || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Length", strconv.Itoa(len(text)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(text) // the viewer may leave at any time
		}
		return
	}
	h.Set("Content-Encoding", "gzip")
	if r.Method == http.MethodHead {
		return
	}
	z, ok := s.zip.Get().(*gzip.Writer)
	if !ok {
		return
	}
	defer s.zip.Put(z)
	z.Reset(w)
	_, _ = z.Write(text) // as above
	_ = z.Close()
}

// serveMedia serves a segment, an init segment or a part. A part that was
// hinted at is sent as soon as it is there.
func (s *Server) serveMedia(w *counter, r *http.Request, ss *session, p *packaging, file string) error {
	session, sequence, n, isPart := parsePart(file)
	if !isPart {
		return serveFile(w, r, p.muxer, file)
	}
	var at piece
	err := p.muxer.await(r.Context(), s.waiter(ss, p), func() (ok bool, err error) {
		at, ok, err = p.muxer.locate(session, sequence, n)
		return ok, err
	})
	if err != nil {
		return err
	}
	return servePart(w, r, p.muxer, file, at)
}

// serveFile sends a segment from its file, by sendfile where the connection
// allows it.
func serveFile(w *counter, r *http.Request, m *Muxer, file string) error {
	f, err := m.openFile(file)
	if err != nil {
		return os.ErrNotExist
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return os.ErrNotExist
	}
	describeFile(w, file)
	http.ServeContent(w, r, file, info.ModTime(), f)
	return nil
}

// servePart sends a part from the file of its segment, by sendfile unless it is
// asked for piecemeal.
func servePart(w *counter, r *http.Request, m *Muxer, file string, at piece) error {
	f, err := m.store.open(at.file)
	if err != nil {
		return os.ErrNotExist
	}
	defer f.Close() // it was only read
	describeFile(w, file)
	for _, conditional := range []string{"Range", "If-Range", "If-None-Match", "If-Match"} {
		if r.Header.Get(conditional) != "" {
			info, err := f.Stat()
			if err != nil {
				return os.ErrNotExist
			}
			http.ServeContent(w, r, file, info.ModTime(), io.NewSectionReader(f, at.offset, at.size))
			return nil
		}
	}
	if _, err := f.Seek(at.offset, io.SeekStart); err != nil {
		return os.ErrNotExist
	}
	h := w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(at.size, 10))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, io.LimitReader(f, at.size)) // the viewer may leave at any time
	}
	return nil
}

// describeFile sets the headers of what never changes.
func describeFile(w *counter, file string) {
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	if strings.HasSuffix(file, transportSuffix) {
		h.Set("Content-Type", "video/mp2t")
	}
	h.Set("Cache-Control", "max-age=3600, immutable")
	h.Set("ETag", strconv.Quote(file))
}
