// Package hlscheck follows a low-latency HLS playlist while it is live, as the
// strictest of players would, and reports what breaks RFC 8216 and
// draft-pantos-hls-rfc8216bis. It judges what a server says and sends; how fast
// the server does so it only measures. It is imported by tests only.
//
//	Parse    the text of a media playlist → List, with what is wrong in it alone
//	Follows  whether one List may become another
//	Follow   a player that loads everything, and holds it against everything
//
// Parse and Follows are pure. Follow uses its goroutine and one more, for the
// resource that a playlist hints at.
package hlscheck
