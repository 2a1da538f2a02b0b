package webhook

import (
	"context"
	"slices"
	"strings"
)

// Queue is what one hook is still to be told, in order: of the types that it
// wants, the newest 1000. It outlives the hook's Deliverer, so that an edit of
// the hook loses nothing.
type Queue struct {
	log  *Log
	more chan struct{} // something was added; has room for one

	// Log.mu guards what follows.
	client *Client // counts what is lost
	types  []string
	events []Event // the oldest first
	lost   uint64  // since it was asked for
}

// Queue returns a queue of what is appended from now on, until its Close.
// types are separated by spaces, a last element of * stands for any; empty:
// everything. client counts what is lost.
func (l *Log) Queue(client *Client, types string) *Queue {
	q := &Queue{log: l, more: make(chan struct{}, 1), client: client, types: strings.Fields(types)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queues[q] = struct{}{}
	return q
}

// Close ends the queue: nothing is added any more.
func (q *Queue) Close() {
	q.log.mu.Lock()
	defer q.log.mu.Unlock()
	delete(q.log.queues, q)
}

// Edit gives the queue what its hook is by now. Events of types that the hook
// does not want any more are taken out.
func (q *Queue) Edit(client *Client, types string) {
	q.log.mu.Lock()
	defer q.log.mu.Unlock()
	q.client, q.types = client, strings.Fields(types)
	q.events = slices.DeleteFunc(q.events, func(e Event) bool { return !Matches(q.types, e.Type) })
}

// add takes an event if the hook wants it. Log.mu is held.
func (q *Queue) add(e Event) {
	if !Matches(q.types, e.Type) {
		return
	}
	if len(q.events) == held {
		q.pop()
		q.lost++
		q.client.drop(1)
	}
	q.events = append(q.events, e)
	select {
	case q.more <- struct{}{}:
	default: // it has been told
	}
}

// pop takes the oldest event out. Log.mu is held.
func (q *Queue) pop() {
	q.events[0] = Event{}
	q.events = q.events[1:]
}

// next returns the oldest event, which stays in the queue. It blocks until
// there is one, or ctx is done, whose error it returns.
func (q *Queue) next(ctx context.Context) (Event, error) {
	for {
		if e, ok := q.oldest(); ok {
			return e, nil
		}
		select {
		case <-q.more:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

func (q *Queue) oldest() (e Event, ok bool) {
	q.log.mu.Lock()
	defer q.log.mu.Unlock()
	if len(q.events) == 0 {
		return Event{}, false
	}
	return q.events[0], true
}

// holds tells whether the queue has not lost e, which is its oldest then.
func (q *Queue) holds(e Event) bool {
	oldest, ok := q.oldest()
	return ok && oldest.seq == e.seq
}

// done takes e out, unless that is lost already.
func (q *Queue) done(e Event) {
	q.log.mu.Lock()
	defer q.log.mu.Unlock()
	if len(q.events) > 0 && q.events[0].seq == e.seq {
		q.pop()
	}
}

// losses returns how many events were lost since it was called last.
func (q *Queue) losses() (n uint64) {
	q.log.mu.Lock()
	defer q.log.mu.Unlock()
	n, q.lost = q.lost, 0
	return n
}

// left returns how many events there are.
func (q *Queue) left() int {
	q.log.mu.Lock()
	defer q.log.mu.Unlock()
	return len(q.events)
}
