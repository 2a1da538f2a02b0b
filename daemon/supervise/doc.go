// Package supervise restarts one-shot runs: a camera's connection, a push. It
// holds the only backoff in the tree, and the state that people see: phase,
// reason, attempt, next retry, history. It knows nothing of cameras and
// pushes, and registers nothing anywhere.
//
// Keep runs in the caller's goroutine and calls report from there, never
// concurrently. Limiter, Pace and Backoff may be used from any goroutine.
//
//	            active()                      run ends
//	starting ───────────▶ active ─────────────────────▶ reconnecting ◀─┐
//	   │                    ▲                             │   │  │     │
//	   │ run ends           └─────────────────────────────┘   │  └─────┘ run ends
//	   └──────────────────────────▶ reconnecting              │
//	                                                          ▼ Limit attempts used
//	                      (a retry: starting) ◀───────────── failed
//
// An active run whose media stops is starting again until it moves, if its
// owner wants to know; it keeps its connection meanwhile.
//
// The phases idle and stopped are set by the owner, with State.To.
package supervise
