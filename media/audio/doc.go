// Package audio gives outputs the sound that they can carry: a view of a stream
// in which the audio is made as a Mode says, and everything else is the
// camera's own. It opens no socket and knows no container; an output reads the
// view like any stream.
//
//	stream ──────────────── video, AAC, as they are ────────────────▶ view ──▶ outputs
//	  └─▶ decoder ─▶ low-pass ─▶ encoder ─▶ log of frames ───────────▶ (one per mode)
//	       (one per camera, from the first view that needs it to the last)
//
// View and StateOf may be called from any goroutine.
//
// # Why
//
// Video never waits for audio. A view passes on what its stream has and then
// what the encoder has by then, so a slow encoder delays only its own frames,
// and one that fails ends a log that nobody waits for. Where an output was
// promised audio that does not come, silence takes its place by the pictures'
// clock: players stop at a track that has nothing to play. The price: made audio
// arrives some 60 ms after the picture that it belongs to.
package audio
