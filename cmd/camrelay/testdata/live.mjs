// usage: node live.mjs ORIGIN PLAYLIST SECONDS
// Plays PLAYLIST with hls.js in low-latency mode for so many seconds, and
// prints what it saw as JSON: how far the picture was behind the time of day
// (PROGRAM-DATE-TIME), how often it stalled, how many pictures were shown, and
// the sequence numbers of the playlists. Of the moment at which the picture was
// the furthest behind it tells what can have been the cause. "playing" on standard
// error tells that it has played for a second.
import { pause, until, withPage } from "./browser.mjs";

const [origin, playlist, seconds] = process.argv.slice(2);
await withPage(async (page) => {
  await page.setContent("<video muted></video>");
  await page.addScriptTag({ url: origin + "-/hls.light.min.js" });
  await page.evaluate((url) => {
    const video = document.querySelector("video");
    const seen = window.seen = { behind: [], stalls: 0, errors: [], levels: [], seeks: [], worst: { behind: -1e9 } };
    const hls = window.hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, enableWorker: false });
    let playing = false;
    hls.on(Hls.Events.ERROR, (_, e) => {
      seen.errors.push(`${e.details}${e.fatal ? " (fatal)" : ""}`);
      if (e.details === "bufferStalledError") seen.stalls++;
    });
    hls.on(Hls.Events.LEVEL_LOADED, (_, e) => seen.levels.push([e.details.startSN, e.details.endSN]));
    video.addEventListener("playing", () => { playing = true; });
    const first = performance.now();
    let last = first, clock = Date.now() - first;
    video.addEventListener("seeking", () => {
      seen.seeks.push([(performance.now() - first) / 1000, video.currentTime]);
    });
    setInterval(() => {
      const now = performance.now(), pause = now - last, step = Date.now() - now - clock;
      last = now;
      clock += step;
      if (!playing || !hls.playingDate) return;
      const behind = Date.now() - hls.playingDate.getTime();
      seen.behind.push(behind);
      if (behind <= seen.worst.behind) return;
      const details = hls.levels[hls.currentLevel]?.details, newest = details?.fragments.at(-1), b = video.buffered;
      seen.worst = {
        behind, at: (now - first) / 1000, pause, step, rate: video.playbackRate,
        ahead: b.length ? b.end(b.length - 1) - video.currentTime : 0,
        edge: newest ? Date.now() - newest.programDateTime - (details.edge - newest.start) * 1000 : 0,
      };
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
