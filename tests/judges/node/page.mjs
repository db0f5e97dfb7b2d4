// Chromium, driven line by line: each line is one thing a person does, the answer what they see.
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { hear, reason, say } from "./lines.mjs";

const { origin, width, scheme, language, script } = await hear();
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const context = await browser.newContext({
  baseURL: origin, ignoreHTTPSErrors: true, locale: language, colorScheme: scheme,
  javaScriptEnabled: script, viewport: { width, height: 900 }, acceptDownloads: true,
});
context.setDefaultTimeout(60_000);
const page = await context.newPage();
let faults = [];
page.on("console", (message) => {
  if (message.type() === "error") faults.push(message.text());
});
page.on("request", (request) => {
  if (!request.url().startsWith(origin)) faults.push(`leaves the origin: ${request.url()}`);
});

const acts = {
  async open({ path }) {
    faults = [];
    const answer = await page.goto(path);
    return { status: answer?.status() ?? 0 };
  },
  async fill({ fields }) {
    for (const [name, value] of Object.entries(fields)) {
      const field = page.locator(`main [name="${name}"]`).first();
      const tag = await field.evaluate((one) => one.tagName).catch(() => "INPUT");
      if (tag === "SELECT") await field.selectOption(value);
      else await field.fill(value);
    }
  },
  async unfold({ text }) { await page.locator("main summary", { hasText: text }).first().click(); },
  async press({ text }) {
    await page.locator("main").getByRole("button", { name: text, exact: true }).first().click();
    await page.waitForLoadState();
  },
  async follow({ text }) {
    await page.locator("main").getByRole("link", { name: text }).first().click();
    await page.waitForLoadState();
  },
  async choose({ name, path }) { await page.locator(`main [name="${name}"]`).setInputFiles(path); },
  async seen() {
    return {
      url: page.url(), text: await page.innerText("main"), html: await page.content(), faults,
    };
  },
  async where() { return { url: page.url() }; },
  async judge() {
    const found = await new AxeBuilder({ page }).analyze();
    return {
      axe: found.violations.map((one) => `${one.id}: ${one.nodes[0].target.join(" ")}`),
      overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
      faults,
    };
  },
  async shoot({ path }) { await page.screenshot({ path, fullPage: true }); },
};

for (;;) {
  const { act, ...how } = await hear();
  say(await acts[act](how).then((said) => said ?? {}).catch(reason));
}
