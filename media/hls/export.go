package hls

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
)

// Visit is one request of a player that watches a stream by another protocol
// over the same segments. Whoever has it calls Leave once.
type Visit struct {
	server *Server
	sess   *session
	visit  visit
	key    sessionKey
	pack   *packaging
}

// Enter admits the player that shows itself by r to the stream of that name, by
// the rules of sessions that playlists have, and waits for its first segment.
// first tells that players begin with what r asks for: then the answer tells
// the player its session, by the Query of the windows. The errors are those of
// the Opener.
func (s *Server) Enter(r *http.Request, name, protocol string, first bool) (*Visit, error) {
	if !httpdoor.IsStream(name) {
		return nil, hub.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.StartTimeout)
	defer cancel()
	v := s.visitOf(r, product{name, fragmented}, protocol, first)
	key := v.key()
	ss, err := s.enter(ctx, v, key)
	if err != nil {
		return nil, err
	}
	p, err := s.shown(ctx, ss, v)
	if err == nil {
		err = p.wait(ctx, ss.gone, p.muxer.stocked)
	}
	if err == nil && len(p.muxer.window().Segments) == 0 { // what is kept of another process is not known well enough
		err = p.wait(ctx, ss.gone, nil)
	}
	visit := &Visit{server: s, sess: ss, visit: v, key: key, pack: p}
	if err != nil {
		visit.Leave(0, false)
		return nil, err
	}
	s.settle(p.muxer)
	s.pace(ss, p.muxer.target())
	return visit, nil
}

// Leave ends the request, which has sent so many bytes. told tells that the
// player has the answer: a session that begins with this request ends without.
func (v *Visit) Leave(sent uint64, told bool) {
	v.sess.sub.Sent.Add(sent)
	v.server.leave(v.sess)
	if v.visit.fresh && !told {
		v.server.end(v.key, v.sess, errUntold)
	}
}

// Windows returns what is kept of the streams of the ladder, that of the visit
// among them. Those of which there is nothing are left out.
func (v *Visit) Windows(ctx context.Context) (all []cmaf.Window) {
	for _, name := range v.server.ladder(v.visit.name) {
		m := v.pack.muxer
		if name != v.visit.name {
			if m = v.server.call(ctx, v.visit, name); m == nil {
				continue
			}
		}
		w := m.window()
		if len(w.Segments) == 0 {
			continue
		}
		w.Base, w.Query = relative(v.visit.name, name, ""), v.visit.suffix(name)
		w.Epoch = v.server.epoch.begin()
		all = append(all, w)
	}
	return all
}

// Tracks returns the tracks of the init segment of that number as long as
// anything is kept that needs it, also of what no window shows any more.
func (v *Visit) Tracks(session string, number int64) []*media.Track {
	m := v.pack.muxer
	if number != int64(int(number)) {
		return nil
	}
	name := initName(session, int(number))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range append([]*segment{m.current}, m.segments...) {
		if s != nil && s.init.name == name {
			return s.init.tracks
		}
	}
	return nil
}

// begin returns media time 0.
func (e *epoch) begin() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.zero
}

// window returns what m keeps; Base, Query and Epoch are the caller's to set.
func (m *Muxer) window() cmaf.Window {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := cmaf.Window{
		Name: m.stream.Name(), Target: m.targetDuration(), Part: m.numbers.part, Length: m.cfg.Window,
		FrameRate: m.rate,
	}
	rates := m.tracks
	if s := m.current; rates[0] == 0 && s != nil {
		rates = s.rates()
	}
	w.Bandwidth = rates[:]
	m.tell()
	for _, s := range m.listed() {
		if !s.gap && s.init.tracks != nil { // tracks of another process are not known
			w.Segments = append(w.Segments, m.export(s))
		}
	}
	if s := m.current; s != nil && len(s.parts) > 0 && !s.gap {
		m.shown = max(m.shown, s.sequence+1)
		w.Segments = append(w.Segments, m.export(s))
	}
	return w
}

// export returns what others are told of s. mu is held.
func (m *Muxer) export(s *segment) cmaf.Segment {
	_, init, _ := strings.Cut(strings.TrimSuffix(s.init.name, initSuffix), "-"+initPrefix)
	n, err := strconv.Atoi(init)
	if err != nil {
		panic("hls: an init segment has no number: " + s.init.name)
	}
	return cmaf.Segment{
		Session: s.session(), Run: s.number, RunStart: s.run, Init: n, Tracks: s.init.tracks,
		Start: s.from, Duration: s.duration, Independent: s.independent, Open: s == m.current,
	}
}

// Growing is a segment to be read, which may grow yet: as long as it does, it is a
// request that is held. It belongs to one goroutine, which closes it.
type Growing struct {
	*os.File
	visit   *Visit
	seg     *segment
	release func() // gives its place back; nil: it has none
}

// Open opens the segment of the stream of the visit that begins at start, in
// ticks of cmaf.Scale, also the open one. The error is os.ErrNotExist for any
// other, and one of package hub if the player has too many held.
func (v *Visit) Open(ctx context.Context, session string, start int64) (*Growing, error) {
	m, g, grows := v.pack.muxer, &Growing{visit: v}, false
	err := g.await(ctx, func() (bool, error) {
		g.seg = m.at(session, start)
		if g.seg == nil || !g.seg.stored() {
			return false, os.ErrNotExist
		}
		grows = m.current == g.seg && !g.seg.gap
		return g.seg.size > 0, nil
	})
	if err == nil && grows { // later, the answer would have begun
		err = g.hold()
	}
	if err == nil {
		if g.File, err = m.store.open(g.seg.name); err != nil {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		g.free()
		return nil, err
	}
	return g, nil
}

// hold takes a place among what is held, once.
func (g *Growing) hold() (err error) {
	if g.release == nil {
		g.release, err = g.visit.server.hold(g.visit.sess)
	}
	return err
}

func (g *Growing) free() {
	if g.release != nil {
		g.release()
	}
}

// Close ends the request.
func (g *Growing) Close() error {
	g.free()
	return g.File.Close()
}

// at returns the segment that begins at start; nil if there is none, or nothing of
// that session: of what is kept each begins at another time. mu is held.
func (m *Muxer) at(session string, start int64) (found *segment) {
	known := false
	for _, s := range append([]*segment{m.current}, m.segments...) {
		if s == nil || s.init.tracks == nil {
			continue
		}
		known = known || s.session() == session
		if found == nil && media.ToTicks(s.from, cmaf.Scale) == start {
			found = s
		}
	}
	if !known {
		return nil
	}
	return found
}

// Tracks returns what the segment holds, with the track_IDs 1, 2, …
func (g *Growing) Tracks() []*media.Track {
	m := g.visit.pack.muxer
	m.mu.Lock()
	defer m.mu.Unlock()
	return g.seg.init.tracks
}

// Size returns the bytes of the segment as soon as there are more than after,
// or as it is complete. They are whole fragments. It fails when the rest of the
// segment cannot be written.
func (g *Growing) Size(ctx context.Context, after int64) (size int64, complete bool, err error) {
	m := g.visit.pack.muxer
	err = g.await(ctx, func() (bool, error) {
		if !g.seg.stored() {
			return false, fmt.Errorf("cannot write segment: %w", os.ErrNotExist)
		}
		size, complete = g.seg.size, m.current != g.seg || g.seg.gap
		return complete || size > after, nil
	})
	if complete { // what the player asks for next comes while this one is sent
		g.free()
	}
	return size, complete, err
}

// await waits, and has a place for that until it is closed.
func (g *Growing) await(ctx context.Context, ready func() (bool, error)) error {
	w := g.visit.server.waiter(g.visit.sess, g.visit.pack)
	w.hold = func() (func(), error) { return func() {}, g.hold() }
	return g.visit.pack.muxer.await(ctx, w, ready)
}
