package camera

import (
	"context"
	"errors"
	"log/slog"

	"camrelay/media"
	"camrelay/media/hub"
)

// Run pulls the camera once: it connects, publishes to s until something ends
// it, says TEARDOWN, and returns why it ended. The error is marked with a
// class of failure and holds no secret; when ctx is done it is ctx's. active
// is called with each read that brought media, from any goroutine.
func Run(ctx context.Context, spec Spec, splice *Splice, s *hub.Stream, active func(), log *slog.Logger) error {
	if spec.MediaTimeout == 0 {
		spec.MediaTimeout = defaultMediaTimeout
	}
	t, err := spec.target()
	if err != nil {
		return media.Fail(media.ClassUnsupported, err)
	}
	for redirects := 0; ; {
		x := &session{spec: spec, target: t, splice: splice, stream: s, active: active, log: log}
		x.udp = spec.Transport == UDP || spec.Transport != TCP && splice.udp && !t.tls
		err := x.run(ctx)
		if _, ok := errors.AsType[*media.PanicError](err); ok {
			splice.units.asm = nil // it may have been in the middle of anything
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case x.location != "":
			if redirects++; redirects > maxRedirects {
				return media.Fail(media.ClassUnsupported, errors.New("the camera redirects more than three times"))
			}
			if t, err = t.redirected(x.location); err != nil {
				return media.Fail(media.ClassUnsupported, err)
			}
		case x.noTCP && spec.Transport != TCP && !x.udp && !t.tls:
			log.Info("camera refuses TCP, trying UDP")
			splice.udp = true
		default:
			if x.udp && spec.Transport != UDP && !x.heard() {
				splice.udp = false // next time TCP gets another chance
			}
			return x.explain(err)
		}
	}
}

// heard tells whether media has come.
func (x *session) heard() bool { return x.in != nil && x.in.last.Load() != 0 }
