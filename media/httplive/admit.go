package httplive

import (
	"errors"

	"camrelay/media/accept"
)

// errStreamFull is why a viewer is not admitted though there are places. It
// passes.
var errStreamFull = errors.New("too many viewers of this stream")

// admit takes a place for a viewer, who gives it back by leave.
func (h *Handler) admit(name, remote string) (leave func(), err error) {
	exit, err := h.places.Take(accept.AddrOf(remote))
	if err == nil && !h.enter(name) {
		exit()
		err = errStreamFull
	}
	if err != nil {
		h.counts.refused.Add(1)
		return nil, err
	}
	return func() {
		exit()
		h.exit(name)
	}, nil
}

// enter counts a viewer of the stream of that name if there is room for it.
func (h *Handler) enter(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byStream[name] >= h.cfg.PerStream {
		return false
	}
	h.byStream[name]++
	return true
}

func (h *Handler) exit(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byStream[name]--; h.byStream[name] == 0 {
		delete(h.byStream, name)
	}
}
