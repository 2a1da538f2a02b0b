// Package camera is one RTSP pull session: dial, describe, set up, play,
// publish, and say why it ended. It restarts nothing; whoever supervises it
// does. Signalling is gortsplib's; the media of a TCP session never passes
// through it, but goes from the socket into the packet log without a copy.
//
// Run may be called from any goroutine, once at a time per Stream and Splice.
//
// # Why
//
// At camera rates wake-ups and system calls are the cost, not bytes. The
// connection that is given to gortsplib reads whatever the socket holds with
// one call, publishes the interleaved RTP in it with one append, and passes on
// only what is left: answers and RTCP. While nobody waits for every packet it
// reads at a common beat of 40 ms, so that all cameras of a box are served in
// one wake-up.
package camera
