// What the scripts beside this file share.
import { chromium } from "playwright-core";
import { mkdtempSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// withPage calls use with a page of a new browser, in which video plays by itself.
export async function withPage(use) {
  const here = dirname(fileURLToPath(import.meta.url));
  const context = await chromium.launchPersistentContext(mkdtempSync(join(here, "profile-")), {
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  });
  try {
    const page = await context.newPage();
    page.on("console", (m) => console.error("console:", m.text()));
    page.on("pageerror", (e) => console.error("page error:", e.message));
    page.on("requestfailed", (r) => console.error("failed:", r.url(), r.failure()?.errorText));
    await use(page);
  } finally {
    await context.close();
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// until polls what holds returns for at most limit ms; why says what to tell then.
export async function until(limit, holds, why) {
  const end = Date.now() + limit;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${await why()}`);
    await pause(20);
  }
}
