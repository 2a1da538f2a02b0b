// Package hls packages streams as CMAF or MPEG-TS segments in a directory, which
// should be a tmpfs, and serves them with their playlists over HTTP. It knows no
// configuration file and no user: who may watch is the Opener's decision.
//
//	Muxer    one stream → segments of one format, parts, the window of a playlist
//	Budget   bytes on disk, of one stream and of all
//	Server   packagers by name, viewers' sessions, the http.Handler
//
// Playlists of a stream, below /NAME/: index.m3u8, the multivariant one, lists
// live.m3u8, of low latency, of the stream or of all streams of its ladder;
// hls.m3u8 is plain. All show the same segments. ts.m3u8 shows those of MPEG-TS,
// which are made only while somebody watches, from the log that all readers of
// MPEG-TS share. It tells nothing that players of 2010 do not know: a segment
// that cannot be written is left out of it, as if the camera had been away.
//
// Files of a stream lie in the directory of its name: SESSION-N.m4s holds
// segment N of the media sequence, SESSION-initN.mp4 an init segment, hls.state
// the numbers with which a later session goes on; SESSION-N.ts holds the Nth
// segment of MPEG-TS that was begun, ts.state the numbers of that. hls.window and
// ts.window tell what was listed last: whoever packages the stream after a crash
// lists it again, if that was just now. SESSION is random, so a name never has two
// contents. Files named otherwise are left alone.
// Part P of segment N has the URI SESSION-N.P.m4s, and is a range of the
// segment's file.
//
// Media time, the time stamps in segments, is the time since the epoch, which
// is that of the first Server's making as a rule, by the clock of the box at the last
// discontinuity. It is the same for all streams. Nothing that is packaged begins
// before what was packaged last has ended, sound or pictures, also by a process
// before: where a camera's clock is fast, its media time is later for that. Sound that
// comes before its pictures makes it 5 s later at most, however much is lost. Where
// media time gets more than half a second away from the clock, it follows by a
// thousandth: pictures last the longer or shorter, sound has a step of 5 ms at most
// between segments.
//
// Concurrency: a Muxer's Run has the segments to itself, except that the
// Budget may take old ones away from any goroutine; all exported methods may be
// called from any. Nothing here ever makes the writer of the stream wait.
// Requests that wait for a part are woken by one channel, once for each part.
//
// # Why
//
// A part is written with one system call straight from the units' memory and
// served by sendfile, so media is copied once and is never in the heap. The
// open segment's file grows under its final name.
// Playlists are made when somebody asks, not when a part or a segment ends, and
// once for all who ask.
//
// Players that find nothing of what they know in a playlist stand still or begin
// anew. So what was listed outlives the process, by a journal to which a line is
// added for each part: 60 bytes to a tmpfs, against the kilobytes of the part.
//
// A hint that does not come true ends some players. So a part that may be the
// last of its segment is published with the next unit, which tells: one frame
// later than it could be.
//
// EXT-X-TARGETDURATION must never change (RFC 8216 §6.2.1), but the interval of
// key frames is the camera's to change. So it is fixed as late as possible, for
// the first viewer, with a fifth in reserve; from then on a segment that would
// exceed it is ended without a key frame. Its successor cannot be decoded
// alone, and EXT-X-INDEPENDENT-SEGMENTS is left out for good. Players bear that
// better than a segment that comes after their buffer has run dry.
package hls
