// usage: node live.mjs ORIGIN PLAYLIST SECONDS
// Plays PLAYLIST with hls.js in low-latency mode for so many seconds, and
// prints what it saw as JSON: how far the picture was behind the time of day
// (PROGRAM-DATE-TIME), how often it stalled, how many pictures were shown, and
// the sequence numbers of the playlists. "playing" on standard error tells that
// it has played for a second.
import { chromium } from "playwright-core";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";

const [origin, playlist, seconds] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "profile-")), {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});
try {
  const page = await context.newPage();
  page.on("pageerror", (e) => console.error("page error:", e.message));
  await page.setContent("<video muted></video>");
  await page.addScriptTag({ url: origin + "-/hls.light.min.js" });
  await page.evaluate((url) => {
    const video = document.querySelector("video");
    const seen = window.seen = { behind: [], stalls: 0, errors: [], levels: [] };
    const hls = window.hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, enableWorker: false });
    let playing = false;
    hls.on(Hls.Events.ERROR, (_, e) => {
      seen.errors.push(`${e.details}${e.fatal ? " (fatal)" : ""}`);
      if (e.details === "bufferStalledError") seen.stalls++;
    });
    hls.on(Hls.Events.LEVEL_LOADED, (_, e) => seen.levels.push([e.details.startSN, e.details.endSN]));
    video.addEventListener("playing", () => { playing = true; });
    setInterval(() => {
      if (playing && hls.playingDate) seen.behind.push(Date.now() - hls.playingDate.getTime());
    }, 100);
    hls.loadSource(url);
    hls.attachMedia(video);
    video.play();
  }, playlist);
  const state = () => page.evaluate(() => {
    const q = document.querySelector("video").getVideoPlaybackQuality();
    return { ...window.seen, frames: q.totalVideoFrames, dropped: q.droppedVideoFrames,
      time: document.querySelector("video").currentTime, target: window.hls.targetLatency };
  });
  const began = Date.now();
  while ((await state()).behind.length < 10) {
    if (Date.now() > began + 60000) throw new Error("it does not play: " + JSON.stringify(await state()));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.error("playing");
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  console.log(JSON.stringify(await state()));
} finally {
  await context.close();
}
