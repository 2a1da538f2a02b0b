package upstream

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestRTT measures a connection on this machine while it is open and after.
func TestRTT(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			accepted <- conn
		}
	}()
	conn, err := Dial(t.Context(), ln.Addr().String(), nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	far := <-accepted
	defer far.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if rtt := RTT(conn); rtt <= 0 || rtt > 10*time.Second {
		t.Errorf("%v", rtt)
	}
	conn.Close()
	if rtt := RTT(conn); rtt != 0 {
		t.Errorf("%v of a connection that is closed", rtt)
	}
	near, other := net.Pipe()
	defer near.Close()
	defer other.Close()
	if rtt := RTT(near); rtt != 0 {
		t.Errorf("%v of a pipe", rtt)
	}
}
