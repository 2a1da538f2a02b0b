package srt

import (
	"fmt"

	"camrelay/media"
)

// rejections says what codes of rejection mean, and how a supervisor is to
// treat them. Specification: docs/API/rejection-codes.md of libsrt.
var rejections = map[int]struct {
	class media.Class
	text  string
}{
	0:    {media.ClassNetwork, "the upstream accepts the connection and closes it at once"},
	1:    {media.ClassNetwork, "the system refuses a socket"},
	2:    {media.ClassNetwork, "the upstream refuses the connection"},
	3:    {media.ClassBusy, "the upstream has no resources for another connection"},
	4:    {media.ClassUnsupported, "the upstream does not understand the handshake"},
	5:    {media.ClassBusy, "the upstream has no room for another connection"},
	6:    {media.ClassNetwork, "internal error in SRT"},
	7:    {media.ClassNetwork, "the upstream is closing down"},
	8:    {media.ClassUnsupported, "the upstream asks for a newer version of SRT"},
	9:    {media.ClassUnsupported, "both sides have the same rendezvous cookie"},
	10:   {media.ClassCredentials, "wrong passphrase: the upstream has another"},
	11:   {media.ClassCredentials, "one side has a passphrase and the other has none"},
	12:   {media.ClassUnsupported, "the upstream is no live receiver"},
	13:   {media.ClassUnsupported, "the upstream is no live receiver"},
	14:   {media.ClassUnsupported, "the upstream asks for a packet filter"},
	15:   {media.ClassUnsupported, "the upstream takes bonded connections only"},
	16:   {media.ClassUnreachable, "no answer from the upstream"},
	17:   {media.ClassUnsupported, "the upstream asks for another way to encrypt"}, // from libsrt 1.6 on
	1000: {media.ClassNetwork, "the upstream refuses the connection without a reason"},
	1001: {media.ClassUnsupported, "the upstream does not know a key in the streamid"},
	1002: {media.ClassUnsupported, "the upstream takes the streamid for a file that it does not have"},
	1003: {media.ClassUnsupported, "the upstream does not know the host in the streamid"},
	1400: {media.ClassUnsupported, "the upstream cannot read the streamid"},
	1401: {media.ClassCredentials, "the upstream refuses the credentials in the streamid"},
	1402: {media.ClassBusy, "the upstream is overloaded, or the quota is used up"},
	1403: {media.ClassCredentials, "the upstream refuses this streamid"},
	1404: {media.ClassCredentials, "the upstream does not know this streamid"},
	1405: {media.ClassUnsupported, "the upstream does not take a publisher under this streamid"},
	1406: {media.ClassUnsupported, "the upstream cannot do what the streamid asks for"},
	1409: {media.ClassBusy, "the upstream has a publisher of this streamid already"},
	1415: {media.ClassUnsupported, "the upstream does not take the type in the streamid"},
	1423: {media.ClassBusy, "the upstream has locked this streamid"},
	1424: {media.ClassUnsupported, "the upstream has lost the session that the streamid names"},
	1500: {media.ClassBusy, "the upstream has an internal error"},
	1501: {media.ClassUnsupported, "the upstream does not support this request"},
	1502: {media.ClassBusy, "what is behind the upstream refuses the connection"},
	1503: {media.ClassBusy, "the upstream is under maintenance"},
	1505: {media.ClassUnsupported, "the upstream asks for another version of SRT"},
	1507: {media.ClassBusy, "the upstream has no room to store the stream"},
}

// ownCodes is the first code that means what its listener wants it to.
const ownCodes = 2000

// rejected turns a code of rejection into words. text is libsrt's own.
func rejected(code int, text string) error {
	if r, ok := rejections[code]; ok {
		return media.Fail(r.class, fmt.Errorf("%s (reason %d)", r.text, code))
	}
	if code >= ownCodes {
		return fmt.Errorf("the upstream refuses the connection with a code of its own (reason %d)", code)
	}
	return fmt.Errorf("the upstream refuses the connection: %s (reason %d)", text, code)
}
