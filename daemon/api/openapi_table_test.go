package api

import (
	"maps"
	"net/http"

	"camrelay/daemon/session"
)

// operation is what is said of a route besides what the router knows.
type operation struct {
	id, summary string
	query       map[string]string // what its parameters are; with # before it, a number
	body        any               // what it takes; nil: nothing
	needsBody   bool
	answer      any // what it answers; nil: nothing
	code        int // of that; 0: 200
	mime        string
	others      map[int]any // answers of other status codes, as JSON
}

// commonParameters are those that mean the same everywhere.
var commonParameters = map[string]string{
	"page": "#from 0", "items_per_page": "#100 by default", "itemsPerPage": "#100 by default",
	"path": "name of the camera", "id": "of the session", "kind": "pull, viewer, push or keepalive",
	"protocol": "RTSP, HLS, …", "status": "starting, active, stalled or closing",
	"published": "true: pulls and pushes, false: viewers",
}

// What is answered where the code has no type of its own.
type (
	problemDetails struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"` // for people
	}
	v3Failure struct {
		Status string `json:"status"` // error
		Error  string `json:"error"`  // for people
	}
	v3OK struct {
		Status string `json:"status"` // ok
	}
	missing struct {
		Status  string   `json:"status"` // error
		Error   string   `json:"error"`
		Missing []string `json:"missing"` // IDs of nobody
	}
	readiness struct {
		Status  string   `json:"status"` // ready, not ready
		Reasons []string `json:"reasons"`
	}
	keepaliveAdded struct {
		ID      string `json:"id"`
		Warning string `json:"warning,omitempty"`
		State   string `json:"state,omitempty"`  // with wait
		Reason  string `json:"reason,omitempty"` // with wait
	}
	ttlBody struct {
		TTL any `json:"ttl,omitempty"` // "10m" or seconds
	}
	holdOffBody struct {
		HoldOff any `json:"hold_off,omitempty"` // "10m", seconds, or "forever"
	}
	orderBody struct {
		ID        string   `json:"mediaSessionId,omitempty"`
		IDs       []string `json:"mediaSessionIds,omitempty"`
		Name      string   `json:"name,omitempty"` // of the camera
		Published *bool    `json:"published,omitempty"`
		Status    string   `json:"status,omitempty"`
		Kind      string   `json:"kind,omitempty"`
		Protocol  string   `json:"protocol,omitempty"`
		All       bool     `json:"all,omitempty"`     // everything; no other filter with it
		DryRun    bool     `json:"dryRun,omitempty"`  // only lists
		HoldOff   any      `json:"holdOff,omitempty"` // "10m" or seconds
	}
)

// anyObject is a JSON object that is described elsewhere.
func anyObject(what string) map[string]any {
	return map[string]any{"type": "object", "description": what}
}

// operations describes every route.
func operations() map[string]operation {
	all := map[string]operation{
		"GET /healthz": {
			id: "healthz", summary: "Whether the program lives", answer: v3OK{},
			others: map[int]any{http.StatusServiceUnavailable: v3OK{}},
		},
		"GET /readyz": {
			id: "readyz", summary: "Whether a configuration runs and its servers listen", answer: readiness{},
			others: map[int]any{http.StatusServiceUnavailable: readiness{}},
		},
		"GET /openapi.json": {id: "openAPI", summary: "This description", answer: anyObject("OpenAPI 3.1")},
		"GET /v1/status":    {id: "status", summary: "Everything at once", answer: Status{}},
		"GET /v1/events": {
			id: "events", summary: "What happens, as server-sent events; Last-Event-ID goes on after an event",
			query: map[string]string{
				"since": "ID of an event; 0: all that are held", "type": "types with commas between, the last part may be *",
				"path": "name of a camera",
			},
			answer: map[string]any{"type": "string"}, mime: "text/event-stream",
		},
		"GET /v1/config/status": {
			id: "configStatus", summary: "What runs, since when, each file with its mistakes; answers when it changes",
			query: map[string]string{
				"wait_hash": "answers when files of this hash have been decided upon",
				"timeout":   "how long to wait, such as 30s; with If-None-Match for another status than that",
			},
			answer: ConfigStatus{},
		},
		"POST /v1/config/plan": {
			id: "configPlan", summary: "What saving a file would do; saves nothing",
			body: PlanRequest{}, answer: PlanResult{},
		},
		"GET /v1/config/schema": {
			id: "configSchema", summary: "JSON schema of the files", answer: anyObject("JSON Schema 2020-12"),
			mime: "application/schema+json",
		},
		"POST /v1/identify": {
			id: "identify", summary: "Blink an LED of the box for 15 s", code: http.StatusNoContent,
		},
		"GET /v1/sessions": {id: "sessions", summary: "Open sessions, oldest first", answer: sessionList[session.Stat]{}},
		"GET /v1/sessions/ended": {
			id: "sessionsEnded", summary: "Sessions that ended last, newest first", answer: sessionList[session.Ended]{},
		},
		"POST /v1/links": {
			id: "linkAdd", summary: "Make a link by which others may watch for a while without a password",
			body: LinkRequest{}, answer: LinkStatus{}, code: http.StatusCreated,
		},
		"GET /v1/cameras":               {id: "cameras", summary: "Cameras by name", answer: list[CameraStatus]{}},
		"GET /v1/cameras/{name}":        {id: "camera", summary: "One camera", answer: CameraStatus{}},
		"GET /v1/cameras/{name}/demand": {id: "cameraDemand", summary: "Why a camera runs or not", answer: DemandStatus{}},
		"POST /v1/cameras/{name}/start": {
			id: "cameraStart", summary: "End a stop, or try at once", answer: DemandStatus{},
		},
		"POST /v1/cameras/{name}/stop": {
			id: "cameraStop", summary: "Stop a camera for a while", body: holdOffBody{}, answer: DemandStatus{},
		},
		"GET /v1/pushes": {id: "pushes", summary: "Pushes by name", answer: list[PushStatus]{}},
		"POST /v1/pushes": {
			id: "pushAdd", summary: "Add a push", needsBody: true,
			body:   anyObject("name, the keys of a push in a file, and persist: true to keep it over a restart"),
			answer: PushStatus{}, code: http.StatusCreated, others: map[int]any{http.StatusAccepted: pushKept{}},
		},
		"DELETE /v1/pushes/{name}": {
			id: "pushRemove", summary: "Remove a push that was added", code: http.StatusNoContent,
		},
		"GET /v1/pushes/{name}":        {id: "push", summary: "One push", answer: PushStatus{}},
		"POST /v1/pushes/{name}/start": {id: "pushStart", summary: "End a stop", answer: PushStatus{}},
		"POST /v1/pushes/{name}/stop": {
			id: "pushStop", summary: "Stop a push for a while", body: holdOffBody{}, answer: PushStatus{},
		},
		"POST /v1/pushes/{name}/pause": {
			id: "pushPause", summary: "Stop a push until it is resumed", body: holdOffBody{}, answer: PushStatus{},
		},
		"POST /v1/pushes/{name}/resume": {id: "pushResume", summary: "As start", answer: PushStatus{}},
		"POST /v1/pushes/{name}/retry":  {id: "pushRetry", summary: "Try at once", answer: PushStatus{}},
		"POST /rest-api/stream/terminate": {
			id: "streamTerminate", summary: "End what all given filters select", body: orderBody{}, needsBody: true,
			answer: terminated{}, others: map[int]any{http.StatusNotFound: missing{}},
		},
		"POST /rest-api/stream/find": {
			id: "streamFind", summary: "List what all given filters select", body: orderBody{}, answer: []mediaSession{},
		},
		"POST /rest-api/stream/find_all": {id: "streamFindAll", summary: "List everything", answer: []mediaSession{}},
	}
	maps.Copy(all, v3Operations())
	return all
}

// v3Operations has MediaMTX's names of its operations.
func v3Operations() map[string]operation {
	all := map[string]operation{
		"GET /v3/info":                       {id: "info", summary: "Version and start", answer: v3Info{}},
		"GET /v3/paths/list":                 {id: "pathsList", summary: "Paths by name", answer: page[v3Path]{}},
		"GET /v3/paths/get/{name...}":        {id: "pathsGet", summary: "One path", answer: v3Path{}},
		"GET /v3/hlsmuxers/list":             {id: "hlsMuxersList", summary: "What is packaged", answer: page[v3Muxer]{}},
		"GET /v3/hlsmuxers/get/{name...}":    {id: "hlsMuxersGet", summary: "One of these", answer: v3Muxer{}},
		"GET /v3/config/global/get":          {id: "configGlobalGet", summary: "Which servers run", answer: v3Global{}},
		"GET /v3/config/paths/list":          {id: "configPathsList", summary: "Paths as configured", answer: page[v3Conf]{}},
		"GET /v3/config/paths/get/{name...}": {id: "configPathsGet", summary: "One of these", answer: v3Conf{}},
		"POST /v3/config/paths/add/{name...}": {
			id: "configPathsAdd", summary: "Add a path for as long as it is wanted", body: v3PathConf{}, needsBody: true,
			answer: v3OK{},
		},
		"DELETE /v3/config/paths/delete/{name...}": {
			id: "configPathsDelete", summary: "Remove a path that was added", answer: v3OK{},
		},
		"POST /v3/paths/keepalive/add/{name...}": {
			id: "keepaliveAdd", summary: "Keep a path warm", body: keepaliveBody{}, answer: keepaliveAdded{},
			query: map[string]string{"wait": "for it to hold, such as 10s"},
		},
		"DELETE /v3/paths/keepalive/remove/{id}": {id: "keepaliveRemove", summary: "Let go of it", answer: v3OK{}},
		"POST /v3/paths/keepalive/renew/{id}": {
			id: "keepaliveRenew", summary: "Begin its time to live anew", body: ttlBody{}, answer: v3Keepalive{},
		},
		"GET /v3/paths/keepalive/list":     {id: "keepaliveList", summary: "Keepalives", answer: page[v3Keepalive]{}},
		"GET /v3/paths/keepalive/get/{id}": {id: "keepaliveGet", summary: "One of these", answer: v3Keepalive{}},
	}
	for name, id := range map[string]string{
		"rtspsessions": "rtspSessions", "rtmpconns": "rtmpConns", "srtconns": "srtConns", "hlssessions": "hlsSessions",
	} {
		all["GET /v3/"+name+"/list"] = operation{id: id + "List", summary: "Sessions", answer: page[v3Session]{}}
		all["GET /v3/"+name+"/get/{id}"] = operation{id: id + "Get", summary: "One session", answer: v3Session{}}
		all["POST /v3/"+name+"/kick/{id}"] = operation{id: id + "Kick", summary: "End a session", answer: v3OK{}}
	}
	return all
}
