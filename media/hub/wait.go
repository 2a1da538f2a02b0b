package hub

// waiter is a link of the list of sleeping readers. The head of a list is a
// waiter of its own that never sleeps; an empty list's head points to itself.
//
// A detached list is a chain: its first waiter is woken, and whoever is woken
// wakes its successor first of all.
type waiter struct {
	prev, next *waiter
	ch         chan struct{} // capacity 1: the wake-up
}

func (w *waiter) init() { w.prev, w.next = w, w }

// add links n at the end of the list whose head is w. The log's mu is held.
func (w *waiter) add(n *waiter) {
	n.prev, n.next = w.prev, w
	w.prev.next, w.prev = n, n
}

// unlink takes w out of the list that it is in. The log's mu is held.
func (w *waiter) unlink() {
	w.prev.next, w.next.prev = w.next, w.prev
	w.prev, w.next = nil, nil
}

// detach empties the list and returns its first waiter, the end of the chain
// being nil. The log's mu is held; the cost does not depend on the length.
//
// Only the chain's ends are touched, so a waiter cannot see from its links
// whether it is still listed: the log's epoch tells, see Reader.sleep.
func (w *waiter) detach() *waiter {
	if w.next == w {
		return nil
	}
	head := w.next
	w.prev.next = nil
	w.init()
	return head
}

// passOn wakes the successor of w, which has just been woken itself.
func (w *waiter) passOn() {
	next := w.next
	w.prev, w.next = nil, nil
	next.wake()
}

// wake wakes the first waiter of a detached chain; nil is an empty chain.
func (w *waiter) wake() {
	if w != nil {
		w.ch <- struct{}{}
	}
}
