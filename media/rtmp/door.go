package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
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

	maxBefore  = 256 << 10 // bytes before the publication
	maxBurst   = 1 << 20   // bytes beyond what maxRate allows
	maxRate    = 32 << 10  // bytes per second while publishing
	minWindow  = 4 << 10   // bytes between two acknowledgements
	maxStreamN = 1<<32 - 1
)

// Transaction IDs that gomedia uses.
const (
	connectTransaction = 1
	createTransaction  = 2
)

// windowSize is the window that we announce: a server acknowledges each time
// it has read so many bytes.
const windowSize = 128 << 10

// door is all that reads what a server sends. input takes the bytes; what is
// to be sent is found in reply. It does no I/O and belongs to one goroutine.
type door struct {
	target target
	hevc   bool // H.265 will be published
	cli    *gomedia.RtmpClient
	phase  phase
	reply  []byte

	greeted  int // bytes of the handshake received
	sent     int // bytes of the handshake produced by gomedia
	said     *chunkReader
	own      *chunkReader // reads what gomedia writes
	ownSize  int          // of the chunks that we write
	received uint64
	acked    uint64
	window   uint64
	began    time.Time // of the publication
	stream   uint32    // message stream of the publication
	enhanced bool      // the server announced H.265

	acks atomic.Uint32 // acknowledgements received; may be read from any goroutine
}

func newDoor(t target, hevc bool) *door {
	d := &door{
		target: t, hevc: hevc, said: newChunkReader(), own: newChunkReader(), ownSize: defaultChunkSize,
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
	d.received += uint64(len(b))
	if err := d.flooded(now); err != nil {
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
	if d.phase == publishing && d.began.IsZero() {
		d.began = now
	}
	if d.window > 0 && d.received-d.acked >= d.window {
		d.acked = d.received
		d.control(typeAck, binary.BigEndian.AppendUint32(nil, uint32(d.received)))
	}
	return nil
}

// flooded bounds what a server may make us read.
func (d *door) flooded(now time.Time) error {
	limit := uint64(maxBefore)
	if !d.began.IsZero() {
		limit = maxBefore + maxBurst + uint64(now.Sub(d.began).Seconds()*maxRate)
	}
	if d.received > limit {
		return errors.New("the server sends more than a publisher has to read")
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
		d.control(typeWindow, binary.BigEndian.AppendUint32(nil, windowSize))
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
		{Name: "app", Value: d.target.app},
		{Name: "type", Value: "nonprivate"},
		// Flash Media Server and its heirs let only this name publish.
		{Name: "flashVer", Value: "FMLE/3.0 (compatible; " + d.target.agent + ")"},
		{Name: "tcUrl", Value: d.target.url},
	}
	if d.hevc {
		o = append(o, flv.Property{Name: "fourCcList", Value: []string{"hvc1"}})
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
		const ping, pong, size = 6, 7, 6
		if len(m.body) >= size && binary.BigEndian.Uint16(m.body) == ping {
			d.control(typeUserControl, append([]byte{0, pong}, m.body[2:size]...))
		}
	case typeAck:
		d.acks.Add(1)
	case typeWindow:
		if len(m.body) >= 4 {
			d.window = max(uint64(binary.BigEndian.Uint32(m.body)), minWindow)
		}
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
	st, _ := statusOf(vs)
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
		d.enhanced = enhanced(vs)
		if d.hevc && !d.enhanced {
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

const noHEVC = "the camera sends H.265 and the server does not announce it (Enhanced RTMP, hvc1): " +
	"set the camera or another of its streams to H.264, or push by SRT"

// refused acts on _error. Servers that do not know releaseStream or FCPublish
// may answer so, which means nothing.
func (d *door) refused(transaction float64, st status) error {
	st.level = "error"
	switch {
	case d.phase == connecting && transaction == connectTransaction,
		d.phase == creating && transaction == createTransaction,
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
