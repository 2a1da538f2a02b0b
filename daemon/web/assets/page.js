"use strict";
// The page of the viewers' port: a list of cameras, a player for one of them.

const byId = (id) => document.getElementById(id);
let player = null; // the running hls.js instance
let playing = "";  // name of the camera that plays
let seen = { time: 0, ticks: 0 }; // where its picture is, and for how many refreshes
let shown = 0;       // where its picture was last
let rewound = false; // the viewer has gone back to see something again
const token = new URLSearchParams(location.search).get("token");
const query = token ? `?token=${encodeURIComponent(token)}` : ""; // goes with every request

const playlist = (camera) => `/${camera.name}/index.m3u8${query}`;

function stop() {
  if (player) player.destroy();
  player = null;
  const video = byId("video");
  video.removeAttribute("src");
  video.load();
}

function play(camera) {
  stop();
  playing = camera.name;
  seen = { time: 0, ticks: 0 };
  [shown, rewound] = [0, false];
  location.hash = camera.name;
  byId("player").hidden = false;
  byId("title").textContent = camera.title;
  byId("problem").textContent = "";
  const url = playlist(camera);
  const video = byId("video");
  if (window.Hls && Hls.isSupported()) {
    player = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, enableWorker: false });
    player.on(Hls.Events.ERROR, (_, e) => failed(camera, e));
    player.loadSource(url);
    player.attachMedia(video);
  } else {
    video.src = url; // Safari, and the fallback where hls.js was not built in
  }
  video.play().catch(() => {}); // some browsers want a tap first: the controls are there
  links(camera);
  mark();
}

function failed(camera, e) {
  if (!e.fatal) return;
  byId("problem").textContent = `Cannot play (${e.details}). Trying again…`;
  setTimeout(() => { if (playing === camera.name) play(camera); }, 3000);
}

// unstick plays a camera anew whose picture stands still though it has pictures:
// hls.js can wait for ever for what was before a restart of the box.
function unstick(camera) {
  const video = byId("video");
  if (!camera || camera.state !== "active" || video.paused || video.currentTime !== seen.time) {
    seen = { time: video.currentTime, ticks: 0 };
  } else if (++seen.ticks === 2) {
    play(camera);
  }
}

// catchUp shows what is now where the picture has fallen far behind, as after the
// browser stood still: hls.js plays faster only as long as it is a little late, and
// else stays behind for good.
function catchUp() {
  const video = byId("video"), details = player?.latestLevelDetails;
  if (!details || video.paused || rewound || player.liveSyncPosition === null) return;
  if (player.latency > 2 * player.targetLatency + details.targetduration) video.currentTime = player.liveSyncPosition;
}

function links(camera) {
  const rtsp = `rtsp://${location.hostname}:8554/${camera.name}${query}`;
  const rows = [["HLS", new URL(playlist(camera), location).href], ["RTSP (default port)", rtsp]];
  byId("links").replaceChildren(...rows.flatMap(([name, url]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = url;
    return [dt, dd];
  }));
}

function mark() {
  for (const b of document.querySelectorAll("#cameras button")) {
    b.setAttribute("aria-pressed", String(b.dataset.name === playing));
  }
}

function row(camera) {
  const li = document.createElement("li"), b = document.createElement("button");
  const state = document.createElement("span"), video = document.createElement("small");
  b.dataset.name = camera.name;
  b.append(camera.title);
  state.textContent = camera.state;
  state.className = `state ${camera.state === "active" ? "active" : "other"}`;
  video.textContent = camera.video || "\u00a0";
  b.append(state, video);
  b.addEventListener("click", () => play(camera));
  li.append(b);
  return li;
}

async function refresh() {
  try {
    const answer = await fetch(`/-/cameras.json${query}`);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const cameras = await answer.json();
    byId("cameras").replaceChildren(...cameras.map(row));
    byId("note").textContent = cameras.length ? "" : "No camera is configured.";
    const wanted = cameras.find((c) => c.name === location.hash.slice(1));
    if (!playing && wanted) play(wanted);
    unstick(cameras.find((c) => c.name === playing));
    catchUp();
    mark();
  } catch (e) {
    byId("note").textContent = `No answer from the box (${e.message}).`;
  }
}

byId("video").addEventListener("timeupdate", (e) => { if (!e.target.seeking) shown = e.target.currentTime; });
byId("video").addEventListener("seeking", (e) => { rewound ||= e.target.currentTime < shown; });
refresh();
setInterval(refresh, 5000);
