// usage: node page.mjs URL DIR
// Opens the page, clicks the first camera, waits until it plays, and stores
// two screenshots of the player, DIR/1.png and DIR/2.png, that differ. Then
// it lets the picture fall behind, and waits until the page shows what is now, but
// not where the viewer has gone back. Last it stops the player, and waits until
// the page has it play again.
import { join } from "node:path";
import { until, withPage } from "./browser.mjs";

const [url, dir] = process.argv.slice(2);
await withPage(async (page) => {
  // The page's own policy forbids what playwright's waitForFunction does.
  const holds = (condition, arg) => until(30000, () => page.evaluate(condition, arg), () => condition.toString());
  await page.goto(url);
  await page.click("#cameras button");
  await holds(() => document.getElementById("video").currentTime > 0);
  const at = () => page.evaluate(() => {
    const v = document.getElementById("video");
    return { time: v.currentTime, width: v.videoWidth, frames: v.getVideoPlaybackQuality().totalVideoFrames };
  });
  const before = await at();
  const shot = (name) => page.locator("#video").screenshot({ path: join(dir, name) });
  const first = await shot("1.png");
  await holds((t) => document.getElementById("video").currentTime > t + 1, before.time);
  const end = Date.now() + 30000;
  while (first.equals(await shot("2.png")) && Date.now() < end); // a starved browser shows old pictures
  await page.screenshot({ path: join(dir, "page.png"), fullPage: true });
  const after = await at();
  console.log(JSON.stringify({ before, after, problem: await page.textContent("#problem"), hls: await page.evaluate(() => !!window.Hls) }));
  if (after.width === 0 || after.frames <= before.frames) throw new Error("no pictures decoded");
  const late = () => player.latency > 2 * player.targetLatency + player.latestLevelDetails.targetduration;
  await holds(() => document.getElementById("video").seekable.end(0) > 13 + document.getElementById("video").seekable.start(0));
  const back = await page.evaluate(() => {
    const v = document.getElementById("video");
    v.currentTime = v.seekable.start(0) + 3;
    return v.currentTime;
  });
  await holds(late);
  const moved = await page.evaluate(() => {
    catchUp();
    return document.getElementById("video").currentTime;
  });
  if (moved > back + 3) throw new Error(`the viewer who went back to ${back} is brought to ${moved}`);
  await page.evaluate(() => { rewound = false; }); // as if the browser had stood still
  await holds(() => player.latency < 2 * player.targetLatency);
  const stuck = await page.evaluateHandle(() => { player.stopLoad(); return player; }); // stuck: the page begins anew
  await holds((old) => player !== old && document.getElementById("video").currentTime > 0, stuck);
});
