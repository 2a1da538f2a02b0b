// Package srt pushes a stream to an SRT listener, as MPEG-TS in payloads of
// seven transport packets. It is the only package with cgo: libsrt through
// srtgo, and a shim for what srtgo lacks. Built without cgo, a push says so.
// There is no listener here: srtgo's stalls.
//
// All functions and methods of a Caller may be called from any goroutine.
//
// # Why
//
// srtgo's own waiting is not to be had: its deadlines spin or deadlock, Close
// wakes nobody, and the goroutine that polls for it wakes up for every packet
// of every connection. So srtgo takes the sockets for blocking ones and leaves
// them alone, while libsrt is told that they are not: connecting is a state to
// look at, a full buffer is an answer. The goroutine that runs a push owns its
// socket and does everything itself; none of its calls waits. The price is a
// look each 10 ms while connecting.
package srt
