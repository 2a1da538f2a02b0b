// usage: node dash.mjs MANIFEST SECONDS
// Plays MANIFEST with the dash.js beside this file for so many seconds, and
// prints what it saw as JSON: the latency that dash.js tells, how far the
// picture was behind the time of day by the manifest's clock, how often it
// waited, and how many pictures were shown, also in the last 5 s.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pause, until, withPage } from "./browser.mjs";

const [manifest, seconds] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
await withPage(async (page) => {
  await page.setContent("<video muted></video>");
  await page.addScriptTag({ path: join(here, "node_modules/dashjs/dist/legacy/umd/dash.all.min.js") });
  await page.evaluate((url) => {
    const video = document.querySelector("video");
    const seen = window.seen = { latency: [], behind: [], stalls: 0, errors: [] };
    const player = window.player = dashjs.MediaPlayer().create();
    // By default it gives up for good after 0.75 s at low latency, 15 tries every
    // 50 ms. A busy machine takes longer to start a daemon.
    player.updateSettings({ streaming: {
      retryAttempts: { MPD: 12 }, retryIntervals: { lowLatencyReductionFactor: 1 },
    } });
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
  await until(60000, async () => (await state()).behind.length > 0, async () => JSON.stringify(await state()));
  console.error("playing");
  await pause(seconds * 1000 - 5000);
  const then = await state();
  await pause(5000);
  const now = await state();
  console.log(JSON.stringify({ ...now, late: now.frames - then.frames }));
});
