package srt

import (
	"errors"
	"net/url"
	"strings"

	"camrelay/media"
	"camrelay/media/hub"
)

// Codes with which a caller is refused; libsrt has the same names behind SRT_REJX_.
// Specification: docs/API/rejection-codes.md of libsrt.
const (
	rejectBadRequest   = 1400
	rejectUnauthorized = 1401
	rejectOverload     = 1402
	rejectForbidden    = 1403
	rejectNotFound     = 1404
	rejectBadMode      = 1405
	rejectUnsupported  = 1415
	rejectInternal     = 1500
	rejectDown         = 1503
)

// Why callers are refused or sent away, besides what a hub.Opener says.
var (
	errShutdown   = media.EndedBy(media.ErrClosedHere, "the server stops")
	errCrowded    = errors.New("too many viewers")
	errUncarried  = errors.New("MPEG-TS can carry nothing of the stream")
	errPassphrase = errors.New("wrong passphrase, or none")
	errEncrypted  = errors.New("the viewer has a passphrase and this port has none")
	errHandshake  = errors.New("the viewer did not complete the handshake")

	errSyntax  = errors.New("the streamid names no stream")
	errPublish = errors.New("the streamid does not ask for a stream, but offers one")
	errType    = errors.New("the streamid asks for something else than a stream")
)

// parseStreamID reads what a caller asks for. All of these ask for the stream
// gate, the last four with credentials:
//
//	gate
//	live/gate
//	read:gate
//	#!::r=gate,m=request
//	gate?token=secret
//	read:gate:user:password
//	#!::r=live/gate,u=user,s=password
//	#!::r=gate,token=secret
//
// A query may also come last after a colon. Keys that are not known become part
// of the query.
//
// Specification: docs/features/access-control.md of libsrt; read: is MediaMTX's.
func parseStreamID(id string) (hub.Request, error) {
	req := hub.Request{Protocol: "srt"}
	var query string
	var err error
	if keys, ok := strings.CutPrefix(id, "#!::"); ok {
		query, err = parseKeys(keys, &req)
	} else if strings.Contains(id, ":") && !strings.Contains(strings.SplitN(id, ":", 2)[0], "?") {
		query, err = parseParts(strings.Split(id, ":"), &req)
	} else {
		req.Path = id
	}
	if err != nil {
		return hub.Request{}, err
	}
	if path, q, ok := strings.Cut(req.Path, "?"); ok {
		req.Path, query = path, q+"&"+query
	}
	req.Path = strings.Trim(strings.TrimPrefix(strings.TrimLeft(req.Path, "/"), "live/"), "/")
	if req.Path == "" || strings.HasPrefix(req.Path, "#!:") {
		return hub.Request{}, errSyntax
	}
	if req.Query, err = url.ParseQuery(query); err != nil {
		return hub.Request{}, errSyntax
	}
	return req, nil
}

// parseParts reads action:name[:query] and action:name:user:password[:query].
func parseParts(parts []string, req *hub.Request) (query string, err error) {
	switch {
	case parts[0] == "publish":
		return "", errPublish
	case parts[0] != "read" || len(parts) > 5:
		return "", errSyntax
	}
	req.Path = parts[1]
	if len(parts) >= 4 {
		req.User, req.Password = parts[2], parts[3]
	}
	if len(parts)%2 == 1 {
		query = parts[len(parts)-1]
	}
	return query, nil
}

// parseKeys reads key=value,key=value….
func parseKeys(keys string, req *hub.Request) (query string, err error) {
	rest := url.Values{}
	for kv := range strings.SplitSeq(keys, ",") {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return "", errSyntax
		}
		switch key {
		case "r":
			req.Path = value
		case "u":
			req.User = value
		case "s":
			req.Password = value
		case "token":
			req.Token = value
		case "m":
			if value != "request" {
				return "", errPublish
			}
		case "t":
			if value != "stream" {
				return "", errType
			}
		case "h":
		default:
			rest.Add(key, value)
		}
	}
	return rest.Encode(), nil
}

// reasonFor returns the code that tells a caller of an error, 0 if there is none.
func reasonFor(err error) int {
	if err == nil {
		return 0
	}
	for _, r := range []struct {
		err    error
		reason int
	}{
		{errSyntax, rejectBadRequest},
		{errPublish, rejectBadMode},
		{errType, rejectUnsupported},
		{hub.ErrNotFound, rejectNotFound},
		{hub.ErrDenied, rejectUnauthorized},
		{hub.ErrForbidden, rejectForbidden},
		{hub.ErrUnavailable, rejectDown},
		{hub.ErrEnded, rejectDown},
		{errShutdown, rejectDown},
		{errCrowded, rejectOverload},
		{errUncarried, rejectUnsupported},
	} {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return rejectInternal
}
