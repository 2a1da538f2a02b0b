// Package hal reads the hardware that camrelay runs on: which board it is, and,
// in the rooms below, how warm it is, how it is powered, what its clock, memory,
// links, LEDs and watchdog do. Each room reads files (Read), understands them
// (parse, pure) and judges (Judge, pure); led and watchdog act, too. It knows
// nothing of cameras, starts nothing by itself and has no opinion about what is
// to be done.
//
// # Why a sensor is never an error
//
// Boards differ, drivers come and go, and a sensor on a bus may hang for ever in
// the kernel. What cannot be read is missing from the result, and what hangs is
// listed in Board.Hung. A read that hangs keeps one thread until the kernel lets
// go of it: it is left behind after a time limit, the file is not touched again
// before that, and more than a few are not left behind. This is the one place
// where a goroutine is not waited for.
//
// A Board and what is read of it belong to one goroutine at a time.
package hal
