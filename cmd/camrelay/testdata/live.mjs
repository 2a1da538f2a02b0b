// usage: node live.mjs ORIGIN PLAYLIST SECONDS
// Plays PLAYLIST with hls.js in low-latency mode for so many seconds, and
// prints what it saw as JSON: how far the picture was behind the time of day
// (PROGRAM-DATE-TIME), how often it stalled, how many pictures were shown, and
// the sequence numbers of the playlists. "playing" on standard error tells that
// it has played for a second.
import { pause, until, withPage } from "./browser.mjs";

const [origin, playlist, seconds] = process.argv.slice(2);
await withPage(async (page) => {
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
  await until(60000, async () => (await state()).behind.length >= 10, async () => JSON.stringify(await state()));
  console.error("playing");
  await pause(seconds * 1000);
  console.log(JSON.stringify(await state()));
});
