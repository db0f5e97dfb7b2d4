// Chromium, driven line by line: each line is one thing a person does, the answer what they see.
// One browser; a window is a context of its own, with its own cookies.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { hear, reason, say } from "./lines.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--renderer-process-limit=1",
  ],
});
const windows = new Map();

async function enter({ window, origin, width, scheme, language, script }) {
  const context = await browser.newContext({
    baseURL: origin, ignoreHTTPSErrors: true, locale: language, colorScheme: scheme,
    reducedMotion: "reduce", javaScriptEnabled: script, viewport: { width, height: 900 },
  });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const one = { context, page, faults: [] };
  page.on("console", (message) => {
    if (message.type() === "error") one.faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(origin)) one.faults.push(`leaves the origin: ${request.url()}`);
  });
  windows.set(window, one);
}

const acts = {
  async leave(one, { window }) {
    windows.delete(window);
    await one.context.close();
  },
  async open(one, { path }) {
    one.faults = [];
    const answer = await one.page.goto(path);
    return { status: answer?.status() ?? 0 };
  },
  // A page that was drawn elsewhere, with its headers; `files` are what it may load, by path.
  async show(one, { path, headers, body, files }) {
    one.faults = [];
    await one.page.unroute("**/*");
    await one.page.route("**/*", (route) => {
      const asked = new URL(route.request().url()).pathname;
      if (route.request().isNavigationRequest()) return route.fulfill({ status: 200, headers, body });
      if (asked in files) return route.fulfill({ status: 200, ...files[asked] });
      one.faults.push(`asks for ${asked}`);
      return route.abort();
    });
    await one.page.goto(path);
  },
  async fill({ page }, { fields }) {
    for (const [name, value] of Object.entries(fields)) {
      // What was unfolded comes first.
      const unfolded = page.locator(`main details[open] [name="${name}"]:visible`);
      const seen = page.locator(`main [name="${name}"]:visible`);
      const field = (await unfolded.count() ? unfolded : seen).first();
      const kind = await field.evaluate((at) => at.type).catch(() => "text");
      if (kind === "select-one") await field.selectOption(value);
      else if (kind === "checkbox" && value === "on") await field.check();
      else if (kind === "checkbox") await page.locator(`main [name="${name}"][value="${value}"]`).check();
      else await field.fill(value);
    }
  },
  async unfold({ page }, { text }) {
    await page.locator("main summary", { hasText: text }).first().click();
  },
  async press({ page }, { text }) {
    await page.locator("main").getByRole("button", { name: text, exact: true }).first().click();
    await page.waitForLoadState();
  },
  async follow({ page }, { text }) {
    await page.locator("main").getByRole("link", { name: text }).first().click();
    await page.waitForLoadState();
  },
  async choose({ page }, { name, path }) {
    await page.locator(`main [name="${name}"]`).setInputFiles(path);
  },
  async seen({ page, faults }) {
    return {
      url: page.url(), text: await page.innerText("main"), html: await page.content(), faults,
    };
  },
  async where({ page }) { return { url: page.url() }; },
  // The page is loaded once, and looked at in each of the views: its width and its colours. The
  // first is judged by every rule; what is wrong in the others only is their colours.
  async judge({ page, faults }, { views }) {
    await page.evaluate(axe);
    const found = [];
    let rules;
    for (const [width, scheme] of views) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme });
      const view = `${width} ${scheme}`;
      found.push(...await page.evaluate(async ([view, rules]) => {
        const options = {
          resultTypes: ["violations"], elementRef: false, preload: false, ...rules,
        };
        const { violations } = await globalThis.axe.run(document, options);
        const wide = document.documentElement.scrollWidth - innerWidth;
        return [
          ...violations.map((one) => `${view}: ${one.id}: ${one.nodes[0].target.join(" ")}`),
          ...wide > 0 ? [`${view}: ${wide} pixels too wide`] : [],
        ];
      }, [view, rules ?? { rules: { "target-size": { enabled: true } } }]));
      rules = { runOnly: { type: "rule", values: ["color-contrast"] } };
    }
    return { found: [...found, ...faults] };
  },
  // The whole page; as WebP, which Playwright does not do, what is seen of it.
  async shoot({ context, page }, { path, width, height, scheme }) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme });
    if (!path.endsWith(".webp")) return void await page.screenshot({ path, fullPage: true });
    const session = await context.newCDPSession(page);
    const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 70 });
    await writeFile(path, data, "base64");
    await session.detach();
  },
};

for (;;) {
  const { act, ...how } = await hear();
  if (act === "quit") {
    await browser.close();
    process.exit(0);
  }
  const done = act === "enter" ? enter(how) : acts[act](windows.get(how.window), how);
  say(await done.then((said) => said ?? {}).catch(reason));
}
