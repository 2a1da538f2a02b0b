// Package flv turns units into FLV tags, which are also the messages of RTMP
// that carry media. It does no I/O and knows no stream: a Muxer is fed units
// and gives back tags that alias their media; whoever writes a tag to a wire
// or a file makes the only copy.
//
// A Muxer belongs to one goroutine. Tags are immutable once they are given out
// and may be shared.
//
// Specification: Adobe Flash Video File Format 10.1, Annex E; Enhanced RTMP v2
// for H.265 and Opus.
package flv
