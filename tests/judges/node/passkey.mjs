// A person at Chromium, with a virtual authenticator: enrols a passkey by keyboard and logs in with it.
import { chromium } from "playwright-core";
import { hear, reason, say } from "./lines.mjs";

async function enrolAndUse({ port, host, profile, name, password }) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    headless: true,
    ignoreHTTPSErrors: true,
    viewport: { width: 390, height: 844 },
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--ignore-certificate-errors",
      `--host-resolver-rules=MAP ${host}:443 127.0.0.1:${port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
    ],
  });
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(90_000); // a machine may be busy
    const refused = [];
    page.on("console", (message) => { if (message.type() === "error") refused.push(message.text()); });
    const devtools = await context.newCDPSession(page);
    await devtools.send("WebAuthn.enable");
    await devtools.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2", transport: "internal", hasResidentKey: true,
        hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
      },
    });
    const origin = `https://${host}`;
    await page.goto(`${origin}/login`);
    await page.waitForSelector("#name:focus");
    await page.keyboard.type(name);
    await page.keyboard.press("Tab");
    await page.waitForSelector("#password:focus");
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${origin}/`);
    await page.goto(`${origin}/account/security`);
    await page.fill("#passkey-name", "笔记本电脑");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=笔记本电脑");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    await page.goto(`${origin}/`);
    await page.click("form[action='/logout'] button");
    await page.goto(`${origin}/login/passkey`);
    await page.waitForSelector("form[data-passkey] button:focus");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${origin}/`);
    return { said: await page.innerText("main"), wide, refused };
  } finally {
    await context.close();
  }
}

say(await enrolAndUse(await hear()).catch(reason));
process.exit(0);
