//go:build cgo

package srt

/*
#include <srt/srt.h>

// receive waits for the next message and returns its length, -1 at the end.
static int receive(SRTSOCKET s, void *b, int n) { return srt_recvmsg(s, b, n); }
*/
import "C"

import (
	"context"
	"fmt"
	"net"
	"sync"
	"unsafe"
)

// Sink receives what others push, one at a time, without a passphrase. It is
// there for the self test of a box: cameras do not come in by SRT.
type Sink struct{ listener *listener }

// ListenSink binds host:port. Run frees it.
func ListenSink(address string) (*Sink, error) {
	l, err := bindListener(context.Background(), address, settings{}.options())
	if err != nil {
		return nil, fmt.Errorf("cannot listen for SRT: %w", err)
	}
	return &Sink{l}, nil
}

// Addr returns the address that is bound.
func (s *Sink) Addr() net.Addr { return net.UDPAddrFromAddrPort(s.listener.addr) }

// Run hands every message of every caller to got, which must not keep it, until
// ctx is done. It is called once.
func (s *Sink) Run(ctx context.Context, got func([]byte)) error {
	if err := s.listener.listen(1, func(caller) int { return 0 }); err != nil {
		s.listener.close()
		return fmt.Errorf("cannot receive SRT: %w", err)
	}
	closed := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		s.listener.close()
		close(closed)
	})()
	for {
		l, _, err := s.listener.accept()
		if err != nil {
			<-closed
			return ctx.Err()
		}
		receive(ctx, l, got)
	}
}

// receive reads one connection to its end.
func receive(ctx context.Context, l *link, got func([]byte)) {
	var once sync.Once
	end := func() { once.Do(l.close) } // which ends a receive that waits
	defer end()
	defer context.AfterFunc(ctx, end)()
	var b [payload]byte
	for {
		n := C.receive(l.id, unsafe.Pointer(&b[0]), C.int(len(b)))
		if n <= 0 {
			return
		}
		got(b[:n])
	}
}
