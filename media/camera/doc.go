// Package camera is one RTSP pull session: dial, describe, set up, play,
// publish, and say why it ended. It restarts nothing; whoever supervises it
// does. Signalling is gortsplib's; the media of a TCP session never passes
// through it, but goes from the socket into the packet log without a copy.
//
// Run may be called from any goroutine, once at a time per Stream and Splice.
//
//	socket ─▶ tap ─┬─ interleaved RTP ─▶ ingest ─▶ Stream.Packets ─▶ (while wanted) Stream.Units
//	               └─ answers ─▶ gortsplib ─ requests ─▶ socket
//
// # Why
//
// At camera rates wake-ups and system calls are the cost, not bytes. The
// connection that is given to gortsplib reads whatever the socket holds with
// one call, publishes the interleaved RTP in it with one append, and passes on
// only the answers. While nobody waits for every packet the kernel is told not
// to wake anybody, and all cameras of a box look at their sockets at a common
// beat of 40 ms: one wake-up for all of them.
//
// gortsplib follows redirects for ever and takes the credentials along, signs
// once per connection, gives up on answers that only it finds odd, and reads an
// SDP as a whole or not at all. So it never sees credentials, and every answer
// is put in order before it acts on it.
//
// gortsplib calls us in goroutines of its own, where a panic over what a camera
// sends would end the process. media.Contain makes it the error of the session.
package camera
