//go:build cgo

package srt

/*
#include <stdint.h>
*/
import "C"

import (
	"net/netip"
	"runtime/cgo"
	"unsafe"
)

// camrelaySRTCalled passes a call on to the listener whose handle it is. It
// returns 0 or the reason to refuse it.
//
//export camrelaySRTCalled
func camrelaySRTCalled(
	handle C.uintptr_t, id C.int, ip unsafe.Pointer, n C.int, port C.uint16_t, streamID *C.char,
) C.int {
	l := cgo.Handle(handle).Value().(*listener)
	addr, _ := netip.AddrFromSlice(C.GoBytes(ip, n)) // 4 or 16 bytes
	return C.int(l.ask(caller{
		id: int32(id), remote: netip.AddrPortFrom(addr.Unmap(), uint16(port)), streamID: C.GoString(streamID),
	}))
}
