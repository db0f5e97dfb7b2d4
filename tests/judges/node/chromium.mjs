// Chromium, driven one step at a time: {goto}, {fill, value}, {click}, {text}, {until}, {forget}.
import { chromium } from "playwright-core";
import { hear, reason, say } from "./lines.mjs";

const { profile } = await hear();
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  ignoreHTTPSErrors: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--ignore-certificate-errors", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
});
context.setDefaultTimeout(45_000);
const page = context.pages()[0] ?? (await context.newPage());
say({ url: page.url() });
for (;;) {
  const step = await hear();
  try {
    if (step.goto) await page.goto(step.goto, { waitUntil: "load" });
    if (step.fill) await page.fill(step.fill, step.value);
    if (step.click) await page.click(step.click);
    if (step.until) await page.waitForURL((url) => url.href.startsWith(step.until), { waitUntil: "load" });
    say({ url: page.url(), text: step.text ? await page.textContent(step.text) : await page.innerText("body") });
  } catch (error) {
    const shown = (await page.innerText("body").catch(() => "")).slice(0, 300);
    say({ no: `${reason(error).no} at ${page.url()}: ${shown}` });
  }
}
