// Package rtmp publishes one stream to one server by RTMP or RTMPS. Run is one
// session: dial, handshake, connect, publish, send, say goodbye; it returns why
// the session ended and leaves trying again to its caller. It is no server and
// keeps no queue: the cursor on the stream's units is the queue, and a slow
// server loses groups of pictures that are counted.
//
// Run blocks; any number of sessions may run side by side, also on one stream.
// Each has two goroutines: Run's own reads units and writes media, the other
// reads what the server says and answers. Both write whole messages with single
// calls on the connection, which serialises them. A panic over what the server
// says ends the session with an error, in either of them.
//
// # Why
//
// gomedia's client does the handshake and asks for the publication, behind a
// door: it panics on common AMF0 types, never returns from an empty message and
// lets a server grow its tables without bound. So our own chunk reader takes
// the server's bytes, and gomedia is fed nothing but answers that we have
// parsed and written anew. Its connect command knows neither applications with
// a slash nor rtmps nor Enhanced RTMP and is replaced on its way out. Media is
// written as chunks by ourselves: a frame is one system call without a copy.
//
// Specification: Adobe's Real Time Messaging Protocol 1.0; Enhanced RTMP v2.
package rtmp
