package testcam

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	videoRate    = 90000
	reportPeriod = 5 * time.Second
	payloadSize  = 1400
)

// track is one RTP stream.
type track struct {
	media   *description.Media
	rate    int
	packets uint32
	octets  uint32
}

// stream is one camera: its picture, its tone, and those who watch. Everything
// but viewers and report belongs to the goroutine of run.
type stream struct {
	cam       Camera
	gate      *gate
	scene     *scene
	enc       *encoder
	pictures  *rtph264.Encoder
	sounds    *rtpmpeg4audio.Encoder
	tone      [][]byte
	video     *track
	audio     *track // nil if silent
	out       *gortsplib.ServerStream
	gop       int64       // number of the last GOP begun
	nextSound int64       // number of the next audio frame since the epoch, 0 before the first
	report    atomic.Bool // a viewer is new: send reports soon

	mu      sync.Mutex // guards viewers
	viewers map[*gortsplib.ServerSession]*atomic.Uint64
}

func newStream(cam Camera, g *gate) (*stream, error) {
	st := &stream{
		cam:     cam,
		gate:    g,
		scene:   newScene(cam.Title, cam.Height, cam.FPS),
		enc:     newEncoder(cam.Height*16/9, cam.Height, cam.FPS),
		viewers: make(map[*gortsplib.ServerSession]*atomic.Uint64),
	}
	var err error
	if st.tone, err = parseTone(); err != nil {
		return nil, err
	}
	v := &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: st.enc.sps, PPS: st.enc.pps}
	st.video = &track{rate: videoRate, media: &description.Media{
		Type: description.MediaTypeVideo, Formats: []format.Format{v},
	}}
	st.pictures = &rtph264.Encoder{PayloadType: 96, PacketizationMode: 1, PayloadMaxSize: payloadSize}
	if err := st.pictures.Init(); err != nil {
		return nil, fmt.Errorf("cannot packetise H.264: %w", err)
	}
	if cam.Silent {
		return st, nil
	}
	a := &format.MPEG4Audio{
		PayloadTyp: 97, Config: toneConfig(), SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
	}
	st.audio = &track{rate: toneRate, media: &description.Media{
		Type: description.MediaTypeAudio, Formats: []format.Format{a},
	}}
	st.sounds = &rtpmpeg4audio.Encoder{
		PayloadType: 97, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3, PayloadMaxSize: payloadSize,
	}
	if err := st.sounds.Init(); err != nil {
		return nil, fmt.Errorf("cannot packetise AAC: %w", err)
	}
	return st, nil
}

// attach makes the stream known to the server.
func (st *stream) attach(srv *gortsplib.Server) error {
	desc := &description.Session{Title: st.cam.Title, Medias: []*description.Media{st.video.media}}
	if st.audio != nil {
		desc.Medias = append(desc.Medias, st.audio.media)
	}
	st.out = &gortsplib.ServerStream{Server: srv, Desc: desc}
	return st.out.Initialize()
}

// number returns the number of the picture that is due at t or was last.
func (st *stream) number(t time.Time) int64 {
	fps := int64(st.cam.FPS)
	return t.Unix()*fps + int64(t.Nanosecond())*fps/int64(time.Second)
}

// due returns the time of picture n.
func (st *stream) due(n int64) time.Time {
	fps := int64(st.cam.FPS)
	return time.Unix(n/fps, n%fps*int64(time.Second)/fps)
}

// run shows one picture after the other. The wall clock is read once: a clock
// that is set later moves neither stamps nor pictures.
func (st *stream) run(ctx context.Context) {
	start := time.Now()
	first := start.Round(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := st.number(start) + 1; ; n++ {
		wait := st.due(n).Sub(first) - time.Since(start)
		if wait < -time.Second { // a box that slept: a camera shows the present
			n = st.number(first.Add(time.Since(start))) + 1
			wait = st.due(n).Sub(first) - time.Since(start)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		st.show(n)
	}
}

// show draws picture n and sends it with the sound up to it. A frozen camera
// goes on living but sends nothing.
func (st *stream) show(n int64) {
	due := st.due(n)
	st.scene.draw(n, due)
	gop := n / int64(st.cam.GOP)
	key := gop != st.gop
	st.gop = gop
	units := [][]byte{st.enc.encode(st.scene.canvas, key)}
	if key {
		units = [][]byte{st.enc.sps, st.enc.pps, units[0]}
	}
	packets, err := st.pictures.Encode(units)
	if err != nil {
		panic("testcam: internal error: " + err.Error()) // it only fails on empty units
	}
	frozen := st.gate.opened() != nil
	stamp := uint32(n * videoRate / int64(st.cam.FPS))
	st.send(st.video, packets, stamp, frozen)
	st.sound(due, frozen)
	if frozen {
		return
	}
	st.count()
	fps := int64(st.cam.FPS)
	if st.report.Swap(false) || n%(fps*int64(reportPeriod/time.Second)) == 0 {
		st.sendReport(st.video, due)
		if st.audio != nil {
			st.sendReport(st.audio, due)
		}
	}
}

// sound sends the audio frames that begin before t.
func (st *stream) sound(t time.Time, frozen bool) {
	if st.audio == nil {
		return
	}
	end := (stampAt(t, toneRate) + toneFrame - 1) / toneFrame
	if st.nextSound == 0 || end-st.nextSound > toneRate/toneFrame {
		st.nextSound = end - 1
	}
	first := st.nextSound
	var frames [][]byte
	for ; st.nextSound < end; st.nextSound++ {
		frames = append(frames, st.tone[st.nextSound%int64(len(st.tone))])
	}
	if len(frames) == 0 {
		return
	}
	packets, err := st.sounds.Encode(frames)
	if err != nil {
		panic("testcam: internal error: " + err.Error())
	}
	st.send(st.audio, packets, uint32(first*toneFrame), frozen)
}

// stampAt returns the ticks from the epoch to t.
func stampAt(t time.Time, rate int64) int64 {
	return t.Unix()*rate + int64(t.Nanosecond())*rate/int64(time.Second)
}

// send writes packets, whose stamps count from 0, to all viewers.
func (st *stream) send(tr *track, packets []*rtp.Packet, stamp uint32, frozen bool) {
	for _, p := range packets {
		if frozen {
			continue
		}
		p.Timestamp += stamp
		tr.packets++
		tr.octets += uint32(len(p.Payload))
		// It fails for a stream that is closed, which only happens at the end.
		_ = st.out.WritePacketRTP(tr.media, p)
	}
}

// sendReport writes a sender report (RFC 3550 §6.4.1) for the instant t.
func (st *stream) sendReport(tr *track, t time.Time) {
	var ssrc uint32
	for _, f := range st.out.Stats().Medias[tr.media].Formats {
		ssrc = f.LocalSSRC
	}
	const to1900 = 2208988800
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	_ = st.out.WritePacketRTCP(tr.media, &rtcp.SenderReport{
		SSRC:        ssrc,
		NTPTime:     uint64(t.Unix()+to1900)<<32 | fraction,
		RTPTime:     uint32(stampAt(t, int64(tr.rate))),
		PacketCount: tr.packets,
		OctetCount:  tr.octets,
	})
}

// count adds a picture to the account of each viewer.
func (st *stream) count() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, frames := range st.viewers {
		frames.Add(1)
	}
}

// join and leave keep the list of viewers.
func (st *stream) join(ss *gortsplib.ServerSession, frames *atomic.Uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.viewers[ss] = frames
	st.report.Store(true)
}

func (st *stream) leave(ss *gortsplib.ServerSession) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.viewers, ss)
}
