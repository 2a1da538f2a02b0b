package still

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"camrelay/media"
)

// picture is an answer that is ready. It is immutable.
type picture struct {
	body []byte
	etag string    // quoted
	made time.Time // when the camera has delivered it
}

func newPicture(body []byte, made time.Time) *picture {
	sum := sha256.Sum256(body)
	return &picture{body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, made: made}
}

// shelf holds the newest picture of each stream, or why there is none. ID is
// what it was made of. The zero value is ready.
type shelf[ID comparable] struct {
	mu    sync.Mutex // guards items
	items map[string]*item[ID]
}

type item[ID comparable] struct {
	id      ID
	done    chan struct{} // closed once what follows is set
	pic     *picture
	err     error
	settled time.Time

	used time.Time // guarded by shelf.mu
}

// forgotten is how long a picture is kept that nobody asks for.
const forgotten = time.Minute

// get returns the picture of a stream. One that is being made is waited for.
// One that was made of the same id and is good still is returned at once, and
// so is a failure. Else it is made, by the caller, who goes on even if ctx is
// done: others may wait for it.
func (s *shelf[ID]) get(
	ctx context.Context, name string, id ID, good func(*item[ID]) bool, shoot func(context.Context) (*picture, error),
) (*picture, error) {
	it, mine := s.claim(name, id, good)
	if mine {
		s.fill(context.WithoutCancel(ctx), it, shoot)
		return it.pic, it.err
	}
	select {
	case <-it.done:
		return it.pic, it.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// claim returns the item of a stream, and whether the caller has to fill it.
func (s *shelf[ID]) claim(name string, id ID, good func(*item[ID]) bool) (it *item[ID], mine bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if it = s.items[name]; it != nil {
		it.used = now
		select {
		case <-it.done:
			if it.id == id && good(it) {
				return it, false
			}
		default:
			return it, false
		}
	}
	if s.items == nil {
		s.items = make(map[string]*item[ID])
	}
	for n, old := range s.items {
		if now.Sub(old.used) > forgotten {
			delete(s.items, n)
		}
	}
	it = &item[ID]{id: id, done: make(chan struct{}), used: now}
	s.items[name] = it
	return it, true
}

// fill makes the picture. What it is made of are bytes of a camera, so a panic
// is a failure like any other.
func (s *shelf[ID]) fill(ctx context.Context, it *item[ID], shoot func(context.Context) (*picture, error)) {
	defer close(it.done)
	it.pic, it.err = contained(ctx, shoot)
	it.settled = time.Now()
}

func contained(ctx context.Context, shoot func(context.Context) (*picture, error)) (p *picture, err error) {
	defer media.Contain(&err)
	return shoot(ctx)
}
