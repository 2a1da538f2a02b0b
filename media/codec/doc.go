// Package codec reads facts out of elementary streams: what a NAL unit is,
// what a parameter set or an AudioSpecificConfig says, which string names a
// codec in a playlist, and how NAL units are laid out between start codes and
// length prefixes. It decodes no picture and keeps no state.
//
// All functions are pure and may be called from any goroutine. They never
// write to the slices that they are given.
package codec
