// Package rtmp speaks RTMP both ways: Run publishes one stream to one server, by
// RTMP or RTMPS, and Server plays streams to those who ask for one. It takes no
// publications and keeps no queue: the cursor on the stream's units is the
// queue, and whoever is slow loses groups of pictures that are counted.
//
// Run is one session: dial, handshake, connect, publish, send, say goodbye; it
// returns why the session ended and leaves trying again to its caller. Only
// where a server asks for it, a challenge answered or a move elsewhere, does it
// connect again by itself.
//
// Any number of sessions of both kinds may run side by side, also on one
// stream. Each has two goroutines: one reads units and writes media, the other
// reads what the other side says and answers. The sender that both kinds share
// keeps their messages whole. A panic over what the other side says ends that
// session with an error, in either of them.
//
// # Why
//
// gomedia does the handshakes and asks for the publication, behind a door: it
// panics on common AMF0 types, never returns from an empty message and lets the
// other side grow its tables without bound. So our own chunk reader takes what
// comes, and gomedia is fed nothing but the handshake's fixed bytes and answers
// that we have parsed and written anew. Its connect command knows neither
// applications with a slash nor rtmps nor Enhanced RTMP and is replaced on its
// way out; of its server it is the same with every answer, and what would be
// left is four commands of one line each, so those are ours. Media is written
// as chunks by ourselves: a frame is one system call without a copy.
//
// Each session has a muxer of its own rather than a log of tags for all: it
// begins at time 0 with headers of the codecs that were negotiated, and costs
// less than the cursor it would save, some 80 ns per frame and no copy.
//
// Specification: Adobe's Real Time Messaging Protocol 1.0; Enhanced RTMP v2.
package rtmp
