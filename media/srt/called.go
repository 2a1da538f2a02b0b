//go:build cgo

package srt

import "C"

import (
	"net/netip"
	"runtime/cgo"
	"unsafe"
)

// camrelaySRTCalled passes a call on to the listener whose handle it is: from
// socket id, of an IP address of n bytes. streamID ends with a zero. It returns
// 0 or the reason to refuse the call.
//
//export camrelaySRTCalled
func camrelaySRTCalled(
	listening uintptr, id int32, ip unsafe.Pointer, n int32, port uint16, streamID unsafe.Pointer,
) (reason int32) {
	l := cgo.Handle(listening).Value().(*listener)
	addr, _ := netip.AddrFromSlice(C.GoBytes(ip, C.int(n))) // 4 or 16 bytes
	return int32(l.ask(caller{
		id: id, remote: netip.AddrPortFrom(addr.Unmap(), port), streamID: C.GoString((*C.char)(streamID)),
	}))
}
