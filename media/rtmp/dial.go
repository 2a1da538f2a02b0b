package rtmp

import (
	"context"
	"errors"
	"net"
	"time"

	"camrelay/media"
	"camrelay/media/trust"
	"camrelay/media/upstream"
)

// dial connects to the server of a target, with TLS if that wants it.
func (s Spec) dial(ctx context.Context, t target, timeout time.Duration) (net.Conn, error) {
	var peer *trust.Peer
	if t.tls {
		peer = &trust.Peer{Host: t.host, Insecure: s.Insecure, Fingerprint: s.Fingerprint, CA: s.CA}
	}
	return upstream.Dial(ctx, t.address, peer, timeout)
}

func unsupported(text string) error { return media.Fail(media.ClassUnsupported, errors.New(text)) }
