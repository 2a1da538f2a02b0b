// Package depay turns the RTP packets of a camera into access units and audio
// frames, and these into units on the camera's time line. It opens no socket,
// reorders no packets and knows no container.
//
//	Peek       what one packet holds, for the packet log; no state, no allocation
//	Decoder    packets of one track → access units
//	Assembler  packets of all tracks → units, parameter sets and times included
//	JPEG       packets of an MJPEG track → JPEG files
//
// A Decoder, an Assembler and a JPEG belong to one goroutine at a time. What the
// first two return aliases the packets that they were given, which therefore must
// never be written again; only fragmented NAL units are copied, once.
//
// # Why
//
// Cameras get nearly everything wrong that RFC 6184 leaves to them: no marker
// or one on each NAL unit, parameter sets stamped like the picture before or
// repeated between its slices, two pictures with one stamp. The slice header is
// the one thing that decoders need and cameras get right, so it decides where a
// picture begins; the marker may only release a picture sooner, once it has
// told the truth a few times. gortsplib's decoders group by marker and stamp,
// allocate for each packet, and end an access unit after 25 NAL units.
package depay
