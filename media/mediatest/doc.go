// Package mediatest is what the tests of the media rooms share: clips made by
// ffmpeg as units and as packets, a feed that plays them into a stream for
// ever, checks of outputs by ffprobe and ffmpeg, golden files, and the Suite
// that every output must pass. It is imported by tests only.
//
// Everything runs on the goroutine of the test that calls it. Programs that
// are missing on the machine fail the test; nothing is skipped.
package mediatest
