// Package hub holds what a camera produced, for everybody who wants it: a
// Stream is a few short logs, a reader is a cursor on one of them. It knows
// neither codec nor protocol.
//
// Concurrency:
//
//  1. A log has one writer at a time and any number of readers. Append never
//     waits for a reader and costs the same for one reader or a thousand: it
//     wakes the first sleeping reader, and each reader that wakes up wakes the
//     next before it does anything else.
//  2. Entries are immutable and shared. A reader sees them in order, each at
//     most once; when it is too slow it loses whole runs of entries, resumes at
//     the newest start (key entry) and is told how many it lost.
//  3. Readers never affect each other or the writer. A log is bounded in
//     entries and bytes whatever they do.
//  4. A Reader belongs to one goroutine; all other methods of this package may
//     be called from any.
//
// # Why
//
// Queues per reader copy the memory bound into every reader and make the
// writer visit each of them for each packet. One ring with cursors has one
// bound, is the GOP cache as it stands, and leaves the slow reader with its
// own problem. The price: a reader cannot choose what it loses.
package hub
