// Play the test of "Your own eyes" through with simulated observers, and print what the page says as JSON.
//
//     node eyes.mjs CHROMIUM ADDRESS THRESHOLD...
//
// An observer looks at the pixels of both pictures. It is right as often as a Weibull function of their
// distance from the photo says (slope 3); with a threshold of Infinity it guesses.

import { chromium } from "playwright-core";

const [executablePath, address, ...thresholds] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath });
const tab = await browser.newPage();
const complaints = [], results = [];
tab.on("pageerror", (error) => complaints.push(String(error)));
await tab.goto(address);
await tab.evaluate(() => (document.querySelector(".live").dataset.pace = 0));

/** Runs inside the page: watch both pictures of every pair and answer. */
const watch = (threshold) => {
  const part = (name) => document.querySelector(`[data-live=${name}]`);
  const pixels = (name) => part(name).getContext("2d").getImageData(0, 0, 224, 224).data;
  const distance = (one, other) => Math.sqrt(one.reduce((sum, value, i) => sum + (i % 4 < 3) * (value - other[i]) ** 2, 0));
  const shown = {};
  window.pairs = 0;
  window.observer?.disconnect();
  window.observer = new MutationObserver(() => {
    const words = part("asked").textContent;
    if (/^(First|Second)$/.test(words)) shown[words] = pixels("stimulus");
    if (!words.startsWith("Which")) return;
    const photo = pixels("original"), norm = distance(photo, new Uint8Array(photo.length));
    const [first, second] = [shown.First, shown.Second].map((one) => distance(one, photo) / norm);
    const size = Math.max(first, second), sees = Math.random() > Math.exp(-((size / threshold) ** 3));
    const answer = sees ? (second > first ? "second" : "first") : Math.random() < 0.5 ? "first" : "second";
    window.pairs++;
    setTimeout(() => part(answer).click());
  });
  window.observer.observe(part("asked"), { childList: true, characterData: true, subtree: true });
};
const text = (name) => tab.textContent(`[data-live=${name}]`);
for (const threshold of thresholds) {
  await tab.evaluate(watch, +threshold);
  await tab.evaluate(() => (document.querySelector(".live-eyes").open = true));
  if (results.length) await tab.selectOption("[name=kind]", "noise");
  await tab.click("[data-live=test]");
  await tab.waitForFunction(() => /^(You needed|No threshold)/.test(document.querySelector("[data-live=verdict]").textContent), null, { timeout: 180_000 });
  const [download] = await Promise.all([tab.waitForEvent("download"), tab.click("[data-live=record]")]);
  let json = "";
  for await (const piece of await download.createReadStream()) json += piece;
  results.push({ verdict: await text("verdict"), pairs: await tab.evaluate(() => window.pairs), record: JSON.parse(json) });
}
console.log(JSON.stringify({ results, complaints }));
await browser.close();
