// Package webhook tells other programs what happens, and asks them to decide.
// A Log holds the last events, which others follow with a cursor. What a hook is
// to be told waits in a Queue of its own, from which a Deliverer posts it. A
// Client asks: what it returns are values, and whoever asks does as they say.
// Nothing here knows cameras or sessions, and nothing here stands in the way of
// media: appending never blocks, a call takes as long as its Spec says and no
// longer.
//
// # Signatures
//
// Where a Spec has a secret, each request carries
//
//	Camrelay-Timestamp: 1767225600
//	Camrelay-Signature: sha256=HEX
//
// HEX is HMAC-SHA256 over the timestamp, a dot and the body, with the secret
// as the key. A receiver compares it in constant time and refuses timestamps
// that are some minutes off.
//
// An event may come twice, with the same id: where its answer was lost, or the
// daemon stopped meanwhile. Events come in order. One that the hook answers with
// 400, 413 or 422 is tried a few times and given up; all others wait until the
// hook takes them, the oldest for no longer than its Queue holds them.
//
// All methods may be called from any goroutine; each Run is called once.
package webhook
