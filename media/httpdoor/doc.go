// Package httpdoor is what all outputs over HTTP do before they serve media: it
// knows what a stream may be called, answers what asks for no media, reads who
// asks, and turns a refusal into a status. It listens nowhere, routes nothing
// and knows no user. All of it may be called from any goroutine.
package httpdoor
