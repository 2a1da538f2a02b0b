package rtmp

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	gomedia "github.com/yapingcat/gomedia/go-rtmp"

	"camrelay/media"
	"camrelay/media/flv"
)

const greetingIn = handshakeOut // C0 C1 C2

// viewerWindow is how much a player reads between two acknowledgements: they
// wake us up and tell little.
const viewerWindow = 2_500_000

// mediaStream is the message stream that every player is given.
const mediaStream = 1

// desk is all that reads what a player sends: it answers, and learns which
// stream is wanted. input takes the bytes; what is to be sent is found in
// reply. It does no I/O and belongs to one goroutine.
type desk struct {
	lib     *gomedia.RtmpServerHandle // nil once the handshake is done
	greeted int                       // bytes of the handshake received
	said    *chunkReader
	size    int // of the chunks that we write
	reply   []byte
	in      inflow

	hello  *hello // what connect said, nil before it
	wanted string // name in play
	asked  bool   // play was said
	paused bool
}

// hello is what a player tells when it connects.
type hello struct {
	app    string
	agent  string
	offers flv.Extras
}

func newDesk() *desk {
	d := &desk{lib: gomedia.NewRtmpServerHandle(), said: newChunkReader(), size: defaultChunkSize}
	d.lib.SetOutput(func(b []byte) error {
		d.reply = append(d.reply, b...)
		return nil
	})
	return d
}

// input takes what the player sent at the time now. After an error, which ends
// the session, reply holds what is to be said before.
func (d *desk) input(b []byte, now time.Time) (err error) {
	defer media.Contain(&err)
	if err := d.in.add(len(b), now); err != nil {
		return err
	}
	if n := min(greetingIn-d.greeted, len(b)); n > 0 {
		if d.greeted == 0 && b[0] != rtmpVersion {
			return errGarbage
		}
		d.greeted += n
		if err := d.lib.Input(b[:n]); err != nil {
			return err
		}
		if b = b[n:]; d.greeted == greetingIn {
			d.lib = nil
		}
	}
	if err := d.said.feed(b, d.handle); err != nil {
		return err
	}
	if d.asked {
		d.in.begin(now)
	}
	if body := d.in.acknowledge(); body != nil {
		d.control(typeAck, body)
	}
	return nil
}

// handle acts on one message of the player's.
func (d *desk) handle(m message) error {
	switch m.kind {
	case typeUserControl:
		if body := pong(m.body); body != nil {
			d.control(typeUserControl, body)
		}
	case typeWindow:
		d.in.announced(m.body)
	case typeCommand:
		return d.command(m.body)
	case typeCommand3: // a byte of AMF3, then AMF0
		if len(m.body) > 0 {
			return d.command(m.body[1:])
		}
	case byte(flv.Audio), byte(flv.Video):
		return errPublishes
	}
	return nil
}

// command acts on a command. What follows a value that cannot be parsed is
// ignored: the values that matter come first.
func (d *desk) command(b []byte) error {
	vs, err := flv.ParseScript(b)
	if len(vs) == 0 {
		return errors.Join(errGarbage, err)
	}
	name, _ := vs[0].(string)
	transaction := 0.0
	if len(vs) > 1 {
		transaction, _ = vs[1].(float64)
	}
	if d.hello == nil && name != "connect" {
		return errGarbage
	}
	switch name {
	case "connect":
		return d.connect(transaction, vs)
	case "createStream":
		d.tell("_result", transaction, nil, float64(mediaStream))
	case "getStreamLength": // a live stream has none
		d.tell("_result", transaction, nil, 0.0)
	case "FCSubscribe":
		d.tell("onFCSubscribe", 0.0, nil, information("status", "NetStream.Play.Start", "subscribed"))
	case "play", "publish", "pause", "pauseRaw":
		return d.stream(name, vs)
	case "deleteStream", "closeStream":
		if d.asked {
			return errLeft
		}
	}
	return nil
}

// connect answers the command that opens the application (§7.2.1.1).
func (d *desk) connect(transaction float64, vs []any) error {
	if len(vs) < 3 || d.hello != nil {
		return errGarbage
	}
	o, _ := vs[2].(flv.Object)
	h := &hello{offers: offered(vs[2:3])}
	h.app, _ = o.Get("app").(string)
	h.agent, _ = o.Get("flashVer").(string)
	if len(h.app) > maxName || len(h.agent) > maxName {
		return errGarbage
	}
	d.hello = h
	d.control(typeWindow, binary.BigEndian.AppendUint32(nil, viewerWindow))
	const dynamic = 2
	d.control(typeBandwidth, append(binary.BigEndian.AppendUint32(nil, viewerWindow), dynamic))
	d.control(typeChunkSize, binary.BigEndian.AppendUint32(nil, chunkSize))
	d.size = chunkSize
	st := information("status", "NetConnection.Connect.Success", "connected")
	st = append(st, flv.Property{Name: "objectEncoding", Value: 0.0})
	const all = flv.EnhancedHEVC | flv.EnhancedOpus
	if h.offers != 0 {
		st = append(st, enhancements(all, canForward)...)
	}
	server := flv.Object{{Name: "fmsVer", Value: "FMS/3,5,7,7009"}, {Name: "capabilities", Value: 31.0}} // some read it
	d.tell("_result", transaction, server, st)
	return nil
}

// stream acts on the commands of a message stream (§7.2.2).
func (d *desk) stream(name string, vs []any) error {
	var arg any
	if len(vs) > 3 {
		arg = vs[3]
	}
	switch name {
	case "publish":
		d.status("error", "NetStream.Publish.Denied", errPublishes.Error())
		return errPublishes
	case "play":
		wanted, _ := arg.(string)
		if d.asked || len(wanted) > maxName {
			d.status("error", "NetStream.Play.Failed", "one stream is played on a connection")
			return errGarbage
		}
		d.asked, d.wanted = true, wanted
	default:
		d.paused, _ = arg.(bool)
		code, text := "NetStream.Unpause.Notify", "goes on"
		if d.paused {
			code, text = "NetStream.Pause.Notify", "pauses"
		}
		d.status("status", code, text)
	}
	return nil
}

// information returns an information object (§7.2.2).
func information(level, code, description string) flv.Object {
	return flv.Object{
		{Name: "level", Value: level}, {Name: "code", Value: code}, {Name: "description", Value: description},
	}
}

func (d *desk) tell(vs ...any) {
	m := message{kind: typeCommand, body: flv.AppendScript(nil, vs...)}
	d.reply = appendMessage(d.reply, streamCommand, d.size, m)
}

func (d *desk) status(level, code, description string) {
	d.reply = appendStatus(d.reply, level, code, description)
}

func (d *desk) control(kind byte, body []byte) {
	d.reply = appendMessage(d.reply, streamControl, d.size, message{kind: kind, body: body})
}

// appendStatus appends what a player is told of its stream. It fits into one
// chunk of any size that we have announced.
func appendStatus(b []byte, level, code, description string) []byte {
	body := flv.AppendScript(nil, "onStatus", 0.0, nil, information(level, code, description))
	return appendMessage(b, streamCommand, chunkSize, message{kind: typeCommand, stream: mediaStream, body: body})
}

// appendEvent appends a User Control message about the stream (§7.1.7).
func appendEvent(b []byte, event byte) []byte {
	body := binary.BigEndian.AppendUint32([]byte{0, event}, mediaStream)
	return appendMessage(b, streamControl, chunkSize, message{kind: typeUserControl, body: body})
}

// Events of User Control messages.
const (
	streamBegin = 0
	streamEOF   = 1
)

// path returns the name of the stream and what follows the question marks:
// rtmp://host/live/NAME, rtmp://host/NAME and names with slashes come in as
// many ways of cutting them into application and stream.
func (h *hello) path(wanted string) (name, query string) {
	app, q1, _ := strings.Cut(h.app, "?")
	stream, q2, _ := strings.Cut(wanted, "?")
	var parts []string
	for p := range strings.SplitSeq(app+"/"+stream, "/") {
		if p != "" && p != "_definst_" {
			parts = append(parts, p)
		}
	}
	if len(parts) > 1 && parts[0] == liveApp {
		parts = parts[1:]
	}
	return strings.Join(parts, "/"), strings.Trim(q1+"&"+q2, "&")
}

// liveApp is the application that holds all streams; players want one.
const liveApp = "live"
