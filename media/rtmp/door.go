package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	gomedia "github.com/yapingcat/gomedia/go-rtmp"

	"camrelay/media"
	"camrelay/media/flv"
)

// phase is how far the conversation is.
type phase uint8

const (
	greeting   phase = iota // handshake
	connecting              // connect was sent
	creating                // createStream was sent
	asking                  // publish was sent
	publishing              // the server takes media
)

// Bounds of what a server may say.
const (
	handshakeIn  = 1 + 1536 + 1536 // S0 S1 S2
	handshakeOut = handshakeIn     // C0 C1 C2
	rtmpVersion  = 3
	maxStreamN   = 1<<32 - 1
)

// Transaction IDs that gomedia uses.
const (
	connectTransaction = 1
	createTransaction  = 2
)

// Windows that we announce: a server acknowledges each time it has read so many
// bytes, soon at first, since that tells that it reads at all.
const (
	firstWindow = 8 << 10
	windowSize  = 128 << 10
)

// door is all that reads what a server sends. input takes the bytes; what is
// to be sent is found in reply. It does no I/O and belongs to one goroutine.
type door struct {
	target target
	wants  flv.Extras                  // what the camera's codecs need
	extras func(flv.Extras) flv.Extras // what is sent to a server with that offer
	cli    *gomedia.RtmpClient
	phase  phase
	reply  []byte

	greeted int // bytes of the handshake received
	sent    int // bytes of the handshake produced by gomedia
	said    *chunkReader
	own     *chunkReader // reads what gomedia writes
	ownSize int          // of the chunks that we write
	in      inflow
	stream  uint32     // message stream of the publication
	takes   flv.Extras // what may be sent to the server
	acks    int        // acknowledgements received
	moveTo  *string    // tcUrl to move to, nil if that was not asked for
}

func newDoor(t target, wants flv.Extras, extras func(flv.Extras) flv.Extras) *door {
	d := &door{
		target: t, wants: wants, extras: extras, said: newChunkReader(), own: newChunkReader(), ownSize: defaultChunkSize,
		cli: gomedia.NewRtmpClient(gomedia.WithEnablePublish()),
	}
	d.cli.SetOutput(d.output)
	return d
}

// guard contains a panic, of gomedia's or ours, which may quote the server.
func (d *door) guard(f func() error) error {
	err := func() (err error) {
		defer media.Contain(&err)
		return f()
	}()
	if p, ok := errors.AsType[*media.PanicError](err); ok {
		p.Value = d.target.shown(fmt.Sprint(p.Value))
		return fmt.Errorf("cannot understand the server: %w", err)
	}
	return err
}

// start makes the first bytes of the handshake.
func (d *door) start() error {
	return d.guard(func() error {
		// gomedia splits at the first slash behind the host; its connect, the
		// only command with the application, does not leave the door.
		d.cli.Start("rtmp://host/app/" + d.target.key)
		return nil
	})
}

// input takes what the server sent at the time now.
func (d *door) input(b []byte, now time.Time) error {
	return d.guard(func() error { return d.take(b, now) })
}

func (d *door) take(b []byte, now time.Time) error {
	if err := d.in.add(len(b), now); err != nil {
		return err
	}
	if n := min(handshakeIn-d.greeted, len(b)); n > 0 {
		if d.greeted == 0 && b[0] != rtmpVersion {
			return unsupported("the other side does not speak RTMP")
		}
		d.greeted += n
		if err := d.cli.Input(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	if err := d.said.feed(b, d.handle); err != nil {
		return err
	}
	if d.phase == publishing {
		d.in.begin(now)
	}
	if body := d.in.acknowledge(); body != nil {
		d.control(typeAck, body)
	}
	return nil
}

// output takes what gomedia writes: the handshake as it is, then chunks.
func (d *door) output(b []byte) error {
	n := min(handshakeOut-d.sent, len(b))
	d.reply = append(d.reply, b[:n]...)
	d.sent += n
	return d.own.feed(b[n:], d.forward)
}

// forward sends a message of gomedia's on, or ours in its place.
func (d *door) forward(m message) error {
	switch {
	case m.kind == typeChunkSize:
		d.control(typeWindow, binary.BigEndian.AppendUint32(nil, firstWindow))
		d.control(typeChunkSize, binary.BigEndian.AppendUint32(nil, chunkSize))
		d.ownSize = chunkSize
		return nil
	case d.phase == greeting:
		d.phase = connecting
		m.body = d.connect()
	}
	d.reply = appendMessage(d.reply, streamCommand, d.ownSize, m)
	return nil
}

// connect returns the command that opens the application (§7.2.1.1).
func (d *door) connect() []byte {
	o := flv.Object{
		{Name: "app", Value: d.target.app + d.target.auth},
		{Name: "type", Value: "nonprivate"},
		// Flash Media Server and its heirs let only this name publish.
		{Name: "flashVer", Value: "FMLE/3.0 (compatible; " + d.target.agent + ")"},
		{Name: "tcUrl", Value: d.target.url + d.target.auth},
	}
	const all = flv.EnhancedHEVC | flv.EnhancedOpus
	if use := d.extras(all); use&all != 0 {
		o = append(o, flv.Property{Name: "capsEx", Value: capsReconnect})
		o = append(o, enhancements(use&d.wants, canEncode+canForward)...)
	}
	return flv.AppendScript(nil, "connect", float64(connectTransaction), o)
}

func (d *door) control(kind byte, body []byte) {
	d.reply = appendMessage(d.reply, streamControl, d.ownSize, message{kind: kind, body: body})
}

// handle acts on one message of the server's.
func (d *door) handle(m message) error {
	switch m.kind {
	case typeUserControl:
		if body := pong(m.body); body != nil {
			d.control(typeUserControl, body)
		}
	case typeAck:
		if d.acks++; d.acks == 1 {
			d.control(typeWindow, binary.BigEndian.AppendUint32(nil, windowSize))
		}
	case typeWindow:
		d.in.announced(m.body)
	case typeCommand:
		return d.command(m.body)
	case typeCommand3: // a byte of AMF3, then AMF0
		if len(m.body) > 0 {
			return d.command(m.body[1:])
		}
	}
	return nil
}

// command acts on a command. What follows a value that cannot be parsed is
// ignored: the values that matter come first.
func (d *door) command(b []byte) error {
	vs, err := flv.ParseScript(b)
	if len(vs) == 0 {
		return fmt.Errorf("cannot read command of the server: %w", errors.Join(err, flv.ErrScript))
	}
	name, _ := vs[0].(string)
	transaction := -1.0
	if len(vs) > 1 {
		transaction, _ = vs[1].(float64)
	}
	st := statusOf(vs)
	switch name {
	case "_result":
		return d.result(transaction, vs, st)
	case "_error":
		return d.refused(transaction, st)
	case "onStatus":
		return d.status(st)
	case "close":
		return errClosed
	}
	return nil
}

func (d *door) result(transaction float64, vs []any, st status) error {
	switch {
	case transaction == connectTransaction && d.phase == connecting:
		if err := d.target.refusal(st); err != nil {
			return err
		}
		d.takes = d.extras(offered(vs))
		if d.wants&flv.EnhancedHEVC != 0 && d.takes&(flv.EnhancedHEVC|flv.LegacyHEVC) == 0 {
			return unsupported(noHEVC)
		}
		d.phase = creating
		return d.tell("_result", float64(connectTransaction))
	case transaction == createTransaction && d.phase == creating:
		id, ok := vs[len(vs)-1].(float64)
		if !ok || len(vs) < 4 || !(id >= 0 && id <= maxStreamN) {
			return errors.New("the server created no stream")
		}
		d.phase, d.stream = asking, uint32(id)
		return d.tell("_result", float64(createTransaction), nil, float64(d.stream))
	}
	return nil
}

const noHEVC = "the server has not offered H.265 (Enhanced RTMP, hvc1): " +
	"set the camera or another of its streams to H.264, push by SRT, " +
	"or set enhanced to force if the server is known to take it"

// refused acts on _error. Servers that do not know releaseStream or FCPublish
// may answer so, which means nothing.
func (d *door) refused(transaction float64, st status) error {
	st.level = "error"
	switch {
	case d.phase == connecting && transaction == connectTransaction:
		return challenged(st.description, d.target.refusal(st))
	case d.phase == creating && transaction == createTransaction,
		d.phase == asking && st.code != "":
		return d.target.refusal(st)
	}
	return nil
}

func (d *door) status(st status) error {
	if d.phase == asking && st.code == "NetStream.Publish.Start" {
		d.phase = publishing
		return nil
	}
	if st.code == "NetConnection.Connect.ReconnectRequest" {
		if d.phase != publishing {
			return &moveError{st.tcURL}
		}
		d.moveTo = &st.tcURL
		return nil
	}
	return d.target.refusal(st)
}

// tell hands gomedia an answer that has been read and is written anew.
func (d *door) tell(vs ...any) error {
	m := message{kind: typeCommand, body: flv.AppendScript(nil, vs...)}
	return d.cli.Input(appendMessage(nil, streamCommand, defaultChunkSize, m))
}

// appendGoodbye appends the commands that end the publication.
func (d *door) appendGoodbye(b []byte) []byte {
	none := float64(0)
	for _, c := range []struct {
		stream uint32
		values []any
	}{
		{0, []any{"FCUnpublish", none, nil, d.target.key}},
		{d.stream, []any{"closeStream", none, nil}},
		{0, []any{"deleteStream", none, nil, float64(d.stream)}},
	} {
		m := message{kind: typeCommand, stream: c.stream, body: flv.AppendScript(nil, c.values...)}
		b = appendMessage(b, streamCommand, d.ownSize, m)
	}
	return b
}
