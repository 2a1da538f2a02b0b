// Package timeline gives the frames of one camera a time that only goes
// forward, whatever the camera, its clock and its connections do. It knows RTP
// time stamps, arrival times and RTCP sender reports; it knows no bitstream.
//
// A Timeline and a DTS belong to one goroutine at a time. Both are pure: the
// time comes with the arguments, nothing sleeps, nothing fails.
//
// # Why
//
// Cameras restart their clocks, stamp single frames hours away, send sender
// reports from 1970 or none, and drift. So a stamp is believed only relative to
// its neighbours; between connections and across jumps the monotonic arrival
// clock decides; sender reports only decide how audio lies against video, and
// only within bounds. The price: stream time is not the camera's time, and a
// real jump is recognised only at its third frame.
package timeline
