package config

// inGate is a camera whose lines are given, from line 4 on.
func inGate(lines string) string { return "version: 1\ncameras:\n  gate:\n" + lines }

// layout are the mistakes that people make with spaces, colons and brackets.
var layout = []broken{
	{"a key indented less than its neighbours", inGate("    url: rtsp://c/\n   title: x\n    keep: warm\n")},
	{"a key indented more than its neighbours", inGate("    url: rtsp://c/\n     title: x\n")},
	{"a key indented more, behind a comment", inGate("    url: rtsp://c/\n\n     # hunter2: note\n     title: x\n")},
	{"a key of a camera indented as a camera", inGate("    url: rtsp://c/\n  keep: warm\n")},
	{"a key of a push indented as a push", "version: 1\ncameras: {gate: {url: rtsp://c/}}\n" +
		"pushes:\n  up:\n    camera: gate\n    url: rtmp://h/a/b\n  limit: 3\n"},
	{"a section that is indented", top(" hls:\n  segment: 2s")},
	{"a key that is not indented", top("hls:\nsegment: 2s")},
	{"one space", top("hls:\n  segment: 2s\n part: 400ms")},
	{"a user's key beside the dash", top("users:\n  - name: a\n   role: viewer")},
	{"a user's key behind the name", top("users:\n  - name: a\n     role: viewer")},
	{"a dash out of line", top("users:\n- name: a\n - name: b")},
	{"a key without a colon", inGate("    url rtsp://a:hunter2@c/\n    keep: warm\n")},
	{"a name without a colon", "version: 1\ncameras:\n  gate\n    url: rtsp://c/\n"},
	{"a colon without a space", inGate("    url:rtsp://a:hunter2@c/\n")},
	{"a colon without a space among others", inGate("    title: x\n    url:rtsp://a:hunter2@c/\n")},
	{"two colons in a line", inGate("    title: a: b\n    url: rtsp://c/\n")},
	{"a list in a line with a dash", inGate("    title: - x\n    url: rtsp://c/\n")},
	{"a bracket that the next camera shows", "version: 1\ncameras:\n  gate: {url: rtsp://c/\n  yard: {url: rtsp://d/}\n"},
	{"a list that is not closed", inGate("    ladder: [gate\n    url: rtsp://c/\n")},
	{"a bracket too many", inGate("    url: rtsp://c/\n    }\n")},
	{"a comma that is missing", inGate("    sub: {url: rtsp://c/ keep: warm}\n    url: rtsp://c/\n")},
	{"a URL that goes on in the next line", inGate("    url: rtsp://c/\n      hunter2\n")},
	{"a quote within a value", inGate("    title: \"a\" b\n    url: rtsp://c/\n")},
	{"a reserved character", inGate("    title: @home\n    url: rtsp://c/\n")},
	{"a backquote", inGate("    title: `x`\n    url: rtsp://c/\n")},
	{"a bad escape", inGate("    title: \"\\q\"\n    url: rtsp://c/\n")},
	{"a tab behind spaces", inGate("    url: rtsp://c/\n  \tkeep: warm\n")},
	{"windows line ends and a typo", "version: 1\r\nhls:\r\n  segmnt: 2s\r\n"},
	{"a list for keep", cam("keep: [1]")},
	{"a number for keep", cam("keep: 5")},
	{"a word for keep that there is not", cam("keep: always")},
	{"hours that are one", cam("keep: {warm: 06:00}")},
	{"a section for audio", cam("audio: {mode: drop}")},
	{"a word with a capital", cam("transport: TCP")},
	{"what to do with mistakes, mistyped", top("on_invalid: skip-file")},
	{"a confirmation without a unit", top("confirm: {timeout: 30}")},
	{"a confirmation that never comes", top("confirm: {timeout: 2h}")},
}
