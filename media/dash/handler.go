package dash

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"camrelay/media/cmaf"
	"camrelay/media/fmp4"
	"camrelay/media/httpdoor"
)

// Config is what a Handler is told. The zero value of each field means its
// default.
type Config struct {
	WriteTimeout time.Duration // a viewer that takes no data for so long is closed; 10 s
}

// Handler serves manifests and the tracks of segments.
type Handler struct {
	cfg    Config
	source Source
	log    *slog.Logger
	work   sync.Pool // of *work
}

// work is the memory of one request.
type work struct {
	extract fmp4.Extractor
	out     []byte
}

// New returns a Handler of what source has.
func New(cfg Config, source Source, log *slog.Logger) *Handler {
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	return &Handler{cfg: cfg, source: source, log: log, work: sync.Pool{New: func() any { return new(work) }}}
}

const (
	manifestName  = "manifest.mpd"
	prefix        = "dash-"
	mediaSuffix   = ".m4s"
	initSuffix    = ".mp4"
	initPrefix    = "init"
	sessionDigits = 8
)

// Serves tells whether the last element of a path is a file of ours.
func Serves(file string) bool { return file == manifestName || strings.HasPrefix(file, prefix) }

func mediaName(session string, base int64, when string, track int) string {
	return prefix + session + "-" + strconv.FormatInt(base, 10) + "-" + when + "-" + strconv.Itoa(track) + mediaSuffix
}

func initName(session string, n, track int) string {
	return prefix + session + "-" + initPrefix + strconv.Itoa(n) + "-" + strconv.Itoa(track) + initSuffix
}

// wanted is what the name of a file tells.
type wanted struct {
	session string
	number  int64 // of the init segment, or the time of a segment in ticks
	base    int64 // what is to be added to that time
	track   int   // from 1 on
	init    bool
}

// parseFile is the opposite of mediaName and initName.
func parseFile(file string) (f wanted, ok bool) {
	rest, ok := strings.CutPrefix(file, prefix)
	if !ok {
		return f, false
	}
	if rest, ok = strings.CutSuffix(rest, mediaSuffix); !ok {
		if rest, f.init = strings.CutSuffix(rest, initSuffix); !f.init {
			return f, false
		}
	}
	words := strings.Split(rest, "-")
	if n := len(words); n != 3 && f.init || n != 4 && !f.init || len(words[0]) != sessionDigits {
		return f, false
	}
	number, base := words[len(words)-2], "0"
	if !f.init {
		base = words[1]
	} else {
		number, ok = strings.CutPrefix(number, initPrefix)
	}
	n, err := strconv.ParseUint(number, 10, 62)
	from, berr := strconv.ParseUint(base, 10, 62)
	track, terr := strconv.ParseUint(words[len(words)-1], 10, 8)
	f.session, f.number, f.base, f.track = words[0], int64(n), int64(from), int(track)
	return f, (ok || !f.init) && err == nil && berr == nil && terr == nil && track > 0
}

// ServeHTTP serves /NAME/manifest.mpd and the files that it lists.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, file, ok := httpdoor.Split(r.URL.Path)
	f, media := parseFile(file)
	manifest := file == manifestName
	if httpdoor.Answered(w, r, ok && (media || manifest), "Date, Content-Length, Content-Range") {
		return
	}
	// ffmpeg and GStreamer ask for the first manifest again and again, whatever
	// Location says. Players in browsers do not.
	first := manifest && strings.HasPrefix(r.UserAgent(), "Mozilla/")
	visit, err := h.source.Enter(r, name, first)
	if err != nil {
		httpdoor.AnswerTo(err).Write(w)
		return
	}
	c := &counter{ResponseWriter: w, control: http.NewResponseController(w), timeout: h.cfg.WriteTimeout}
	told := false
	defer func() { visit.Leave(c.n, told && r.Method == http.MethodGet) }()
	switch {
	case manifest:
		err = h.manifest(c, r, visit, name, first)
	case f.init:
		err = serveInit(c, r, visit, file, f)
	default:
		err = h.serveSegment(c, r, visit, name, file, f)
	}
	if told = err == nil; !told {
		httpdoor.AnswerTo(err).Write(w)
	}
}

// counter counts the bytes of a response and bounds how long each write takes.
type counter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	n       uint64
}

func (c *counter) Write(b []byte) (int, error) {
	// A writer that knows no deadline is one of a test.
	_ = c.control.SetWriteDeadline(time.Now().Add(c.timeout))
	n, err := c.ResponseWriter.Write(b)
	c.n += uint64(n)
	return n, err
}

// own returns the window of that stream, nil if it is empty.
func own(windows []cmaf.Window, name string) *cmaf.Window {
	for i := range windows {
		if windows[i].Name == name && len(windows[i].Segments) > 0 {
			return &windows[i]
		}
	}
	return nil
}
