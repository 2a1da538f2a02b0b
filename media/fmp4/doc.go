// Package fmp4 writes units as fragmented MP4: one init segment per set of
// tracks and fragments (moof + mdat) that hold samples of all of them. It
// knows no playlist, opens no file and never copies media: a fragment is a list
// of slices, most of them those of the units. A Still is one key picture as a
// file of its own.
//
// A Muxer belongs to one goroutine at a time; Init, Check and Still are pure.
//
// # Why
//
// Init segments are rare, so mp4ff makes them. Fragments come some times per
// second and camera; mp4ff's cost several times what appending the few boxes to
// a buffer does (BenchmarkFragment, BenchmarkFragmentMP4FF) and copy each
// sample twice, so they are written by hand. The price: two makers of boxes.
package fmp4
