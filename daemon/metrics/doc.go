// Package metrics shows figures to Prometheus. It is handed a Snapshot whenever
// somebody scrapes, and counts a few things itself that nobody else remembers;
// it looks nowhere, judges nothing and asks nobody who they are: daemon fills
// the snapshot and guards the door. Everything may be called from any goroutine.
//
// # Why
//
// A series costs memory on a server that watches a thousand boxes, for as long
// as the server keeps it. So each label's values are known from the
// configuration alone: cameras, pushes, hooks and listeners that it names, and
// words of fixed lists. Addresses, session IDs and names that viewers make up
// are no labels, and a series is there from the start, not from the first event.
package metrics
