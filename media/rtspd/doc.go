// Package rtspd is the RTSP server of the LAN: it hands the packets of a
// hub.Stream to viewers over TCP and UDP as the camera sent them. It pulls no
// camera, depacketises nothing and knows no user: who may see what is decided
// by the hub.Opener, and multicast, TLS and recording are not offered.
//
// Concurrency: one Server is used by one goroutine (New, Listen, Run); Stats
// and Addr may be called from any. Inside, gortsplib runs a few goroutines per
// connection for the dialogue, and every playing viewer has one of ours with a
// cursor on the packet log, so that a slow viewer stands only in its own way.
//
// # Why
//
// gortsplib writes one packet per system call and passes each through a queue
// and a goroutine per viewer, five times the cost of the work itself. So it
// speaks the protocol and we send the media: a viewer's goroutine writes whole
// frames to the connection under gortsplib's feet, a mutex keeping its
// responses apart from them. The price: the library must never send media of
// its own, and its SSRC, RTP-Info and sender reports are replaced by ours.
package rtspd
