// Package testcam is a synthetic camera: a real RTSP server with a moving
// H.264 picture that shows a running clock and a frame number, and an AAC tone
// that beeps each second. make run, tests and the on-box self test watch it.
// It is not a test double for misbehaviour, that is mediatest's, and it never
// listens unless somebody asks.
//
// The pictures come from a small encoder of our own. It codes flat
// macroblocks by intra prediction, textured ones as I_PCM and unchanged ones
// as skipped, so a decoder returns exactly the pixels that were drawn.
// Picture i is due i frame intervals after the Unix epoch and its stamps are
// computed from i, so that they rise for ever and all pictures of all cameras
// show the same clock. Stamps wrap only where RTP's 32 bits do.
//
// One Server offers any number of cameras, each at a path of its own. A picture
// is drawn, encoded and packetised once, whatever the number of viewers.
// All methods of Server may be called from any goroutine.
package testcam
