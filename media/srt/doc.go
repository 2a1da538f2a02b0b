// Package srt speaks SRT: it pushes a stream to a listener or to a receiver
// that calls, and serves viewers that call, as MPEG-TS in payloads of seven
// transport packets. It is a package with cgo: libsrt through srtgo, and
// shims for what srtgo lacks or does wrongly, which is all of accepting. Built
// without cgo, a push and a server say so. Nobody can publish here.
//
// All functions and methods of a Caller may be called from any goroutine; a
// Server is used by one (New, Listen, Run), but for Addr and Stats.
//
// # Why
//
// srtgo's own waiting is not to be had: its deadlines spin or deadlock, Close
// wakes nobody, and the goroutine that polls for it wakes up for every packet
// of every connection. So srtgo takes the sockets for blocking ones and leaves
// them alone, while libsrt is told that they are not: connecting is a state to
// look at, a full buffer is an answer. The goroutine that runs a push or a
// viewer owns its socket and does everything itself; none of its calls waits.
// The price is a look each 10 ms while connecting, and a thread for each
// listener, in which libsrt waits for connections.
//
// A viewer can be told why it is refused only in libsrt's own thread, which
// serves everybody on the port and must not wait for a camera. So it waits for
// the answer for 25 ms, less when many call. If there is none by then, the
// viewer is connected, gets its pictures or is sent away, and is told why when
// it calls again. Where there is a passphrase nobody is asked before the viewer
// has shown it, which is after the handshake.
package srt
