// usage: node dash.mjs MANIFEST SECONDS
// Plays MANIFEST with the dash.js beside this file for so many seconds, and
// prints what it saw as JSON: the latency that dash.js tells, how far the
// picture was behind the time of day by the manifest's clock, how often it
// waited, and how many pictures were shown, also in the last 5 s.
import { chromium } from "playwright-core";
import { mkdtempSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { tmpdir } from "node:os";

const [manifest, seconds] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "profile-")), {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});
try {
  const page = await context.newPage();
  page.on("pageerror", (e) => console.error("page error:", e.message));
  page.on("console", (m) => console.error("console:", m.text()));
  page.on("requestfailed", (r) => console.error("failed:", r.url(), r.failure()?.errorText));
  await page.setContent("<video muted></video>");
  await page.addScriptTag({ path: join(here, "node_modules/dashjs/dist/legacy/umd/dash.all.min.js") });
  await page.evaluate((url) => {
    const video = document.querySelector("video");
    const seen = window.seen = { latency: [], behind: [], stalls: 0, errors: [] };
    const player = window.player = dashjs.MediaPlayer().create();
    player.initialize(video, url, true);
    let playing = false;
    player.on(dashjs.MediaPlayer.events.ERROR, (e) => seen.errors.push(e.error.message));
    video.addEventListener("playing", () => { playing = true; });
    video.addEventListener("waiting", () => { if (playing) seen.stalls++; });
    setInterval(() => {
      if (!playing) return;
      seen.latency.push(player.getCurrentLiveLatency());
      seen.behind.push(Date.now() - player.timeAsUTC() * 1000);
    }, 100);
  }, manifest);
  const state = () => page.evaluate(() => {
    const q = document.querySelector("video").getVideoPlaybackQuality();
    return { ...window.seen, frames: q.totalVideoFrames, dropped: q.droppedVideoFrames,
      time: document.querySelector("video").currentTime };
  });
  const began = Date.now();
  while ((await state()).behind.length === 0) {
    if (Date.now() > began + 60000) throw new Error("it does not play: " + JSON.stringify(await state()));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.error("playing");
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000 - 5000));
  const then = await state();
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const now = await state();
  console.log(JSON.stringify({ ...now, late: now.frames - then.frames }));
} finally {
  await context.close();
}
