// Give photos to the page that descends on them, as a reader would, and print what comes as JSON.
//
//     node photos.mjs CHROMIUM ADDRESS PHOTO...
//
// ADDRESS is that of the page, on a server or on a disk; PHOTO a file, or the name of a packaged one.

import { chromium } from "playwright-core";

const [executablePath, address, ...photos] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath });
const tab = await browser.newPage();
const complaints = [], requests = [];
tab.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
tab.on("pageerror", (error) => complaints.push(String(error)));
await tab.goto(address);

// Runs inside the page: keep what the worker says, and how long the page was ever busy.
await tab.evaluate(() => {
  window.busy = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.busy = Math.max(window.busy, duration);
  }).observe({ type: "longtask" });
  const start = live.worker;
  live.worker = () => {
    const { ask, end } = start();
    return { end, ask: async (...question) => {
      const reply = await ask(...question);
      if (reply?.picture) window.frame = reply;
      return reply;
    } };
  };
});

const note = tab.locator("[data-live=note]");
const said = (words) => tab.waitForFunction(
  (text) => new RegExp(text).test(document.querySelector("[data-live=note]").textContent), words, { timeout: 120_000 },
);
const answers = [];
for (const photo of photos) {
  await note.evaluate((element) => (element.textContent = ""));
  if (photo.includes(".")) await tab.setInputFiles("[type=file] >> nth=0", photo);
  else await tab.click(`[data-take=${photo}]`);
  await said("\\.$"); // Loading … is followed by a sentence
  await said("^(?!Reading|Loading|Unpacking)");
  const first = await note.textContent();
  if (!first.startsWith("The machine says")) {
    answers.push({ note: first });
    continue;
  }
  const pixels = await tab.evaluate(() => [...window.frame.picture]);
  await tab.click("[data-live=start]");
  await said("^K = ");
  const found = await tab.evaluate(() => {
    const { K, label, confidence, jnd } = window.frame;
    return { K, label, confidence, jnd };
  });
  const then = await note.textContent();
  await tab.click("[data-live=save]");
  await said("holds x");
  await tab.click("[data-live=ask]");
  await said("^In the saved file");
  answers.push({ note: then, saved: await note.textContent(), pixels, ...found });
}
console.log(JSON.stringify({ answers, complaints, requests, busy: await tab.evaluate(() => window.busy) }));
await browser.close();
