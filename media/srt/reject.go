//go:build cgo

package srt

/*
#cgo LDFLAGS: -lsrt
#include <srt/srt.h>
*/
import "C"

import (
	"fmt"

	"github.com/haivision/srtgo"

	"camrelay/media"
)

// minimum is the libsrt that this was written for; older ones have open holes.
const minimum = 0x010501

// CheckLibrary tells whether the libsrt at hand is recent enough.
func CheckLibrary() error {
	if v := uint32(C.srt_getversion()); v < minimum {
		return fmt.Errorf("libsrt %d.%d.%d is older than 1.5.1", v>>16, v>>8&0xff, v&0xff)
	}
	return nil
}

// quiet keeps libsrt from writing to standard error. It may be called often.
func quiet() { srtgo.SrtSetLogLevel(srtgo.SrtLogLevelCrit) }

// rejection says in words why a socket could not connect. srtgo has no call
// for it; the socket must not be closed yet.
func rejection(sock *srtgo.SrtSocket) error {
	code := int(C.srt_getrejectreason(C.SRTSOCKET(sock.GetSocket())))
	return rejected(code, C.GoString(C.srt_rejectreason_str(C.int(code))))
}

// Codes of rejection. Specification: srt/docs/API/rejection-codes.md.
const (
	rejectUnknown      = 0
	rejectPeer         = 2
	rejectBacklog      = 5
	rejectVersion      = 8
	rejectBadSecret    = 10
	rejectUnsecure     = 11
	rejectTimeout      = 16
	rejectUnauthorized = 1401
	rejectOverload     = 1402
	rejectForbidden    = 1403
	rejectNotFound     = 1404
	rejectConflict     = 1409
	rejectLocked       = 1423
)

func rejected(code int, text string) error {
	switch code {
	case rejectUnknown, rejectTimeout:
		return fmt.Errorf("no answer from the upstream (%s)", text)
	case rejectBadSecret:
		return media.Fail(media.ClassCredentials, fmt.Errorf("the upstream has another passphrase (reason %d)", code))
	case rejectUnsecure:
		return media.Fail(media.ClassCredentials,
			fmt.Errorf("one side has a passphrase and the other has none (reason %d)", code))
	case rejectUnauthorized, rejectForbidden:
		return media.Fail(media.ClassCredentials, fmt.Errorf("the upstream refuses this streamid (reason %d)", code))
	case rejectNotFound:
		return media.Fail(media.ClassCredentials, fmt.Errorf("the upstream does not know this streamid (reason %d)", code))
	case rejectOverload, rejectConflict, rejectLocked, rejectBacklog:
		return media.Fail(media.ClassBusy, fmt.Errorf("the upstream is busy, or has this stream already (reason %d)", code))
	case rejectVersion:
		return media.Fail(media.ClassUnsupported, fmt.Errorf("the upstream speaks another version of SRT (reason %d)", code))
	case rejectPeer:
		return fmt.Errorf("the upstream refuses the connection (reason %d)", code)
	}
	return fmt.Errorf("the upstream refuses the connection: %s (reason %d)", text, code)
}
