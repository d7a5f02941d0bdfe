// Visit pages in headless Chromium as a reader would, and print what each shows and does as JSON.
//
//     node visit.mjs CHROMIUM ADDRESS PAGE...
//
// Every page is opened on a desktop and on a phone, in the light and in the dark.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENS = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

const [executablePath, address, ...pages] = process.argv.slice(2);

/** What is seen on a page once it has loaded: runs inside the page. */
async function inspect() {
  await window.MathJax?.startup?.promise;
  const { violations } = await axe.run({ resultTypes: ["violations"] });
  const formulas = [...document.querySelectorAll(".math")];
  return {
    violations: violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`)),
    formulas: formulas.length,
    unrendered: formulas
      .filter((formula) => !formula.querySelector("mjx-container") || formula.querySelector("mjx-merror"))
      .map((formula) => formula.textContent),
    csv: decodeURIComponent(document.querySelector(".as-csv")?.href ?? ""),
    found: [...document.querySelectorAll("#search-results li a")].map((link) => link.getAttribute("href")),
    tooWide: document.documentElement.scrollWidth > window.innerWidth,
    shownIn: document.documentElement.dataset.theme,
  };
}

/** Where a page has the slider: what it says and shows at first, after a press of a key, at the end
    and for the other photo. */
async function slide(tab) {
  const viewer = tab.locator(".viewer");
  if (!(await viewer.count())) return null;
  const state = () =>
    tab.evaluate(() => {
      const shown = [...document.querySelectorAll(".viewer-pictures > div, line.viewer-now")].map(getComputedStyle);
      return {
        text: document.querySelector(".viewer output").textContent,
        places: shown.map((s) => s.backgroundPositionX + s.transform),
        strip: shown[0].backgroundImage,
      };
    });
  const presses = [
    () => viewer.locator("input[type=range]").press("ArrowRight"),
    () => viewer.locator("button[value=end]").click(),
  ];
  const photos = viewer.locator("input[name=photo]");
  if (await photos.count()) presses.push(() => photos.last().check());
  const states = [await state()];
  for (const press of presses) {
    await press();
    states.push(await state());
  }
  return states;
}

/** What the card beside the first link to a word says, and whether the first figure opens large. */
async function enlarge(tab) {
  const words = tab.locator('.bd-article a[href*="glossary.html#term"]');
  if (await words.count()) await words.first().focus();
  const card = await tab.locator(".card-of-link").textContent();
  const figures = tab.locator(".enlarge");
  if (await figures.count()) await figures.first().click();
  return { card, large: await tab.locator(".large-picture").isVisible() };
}

/** One page on one screen, in the light and then in the dark. */
async function visit(context, page) {
  const requests = [], complaints = [];
  const tab = await context.newPage();
  tab.on("request", (request) => requests.push(request.url()));
  tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  tab.on("pageerror", (error) => complaints.push(String(error)));
  await tab.goto(new URL(page, address).href);
  if (page.startsWith("search.html?")) await tab.waitForSelector("#search-results li");
  await tab.evaluate(AXE);
  const seen = [];
  for (const colorScheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    seen.push({ page, colorScheme, requests, complaints, ...(await tab.evaluate(inspect)) });
  }
  const slides = await slide(tab);
  const opened = await enlarge(tab);
  await tab.close();
  return seen.map((one) => ({ ...one, slides, ...opened }));
}

const browser = await chromium.launch({ executablePath });
const tours = Object.entries(SCREENS).map(async ([screen, viewport]) => {
  const context = await browser.newContext({ viewport });
  const visits = [];
  for (const page of pages) visits.push(...(await visit(context, page)));
  return visits.map((seen) => ({ screen, ...seen }));
});
console.log(JSON.stringify((await Promise.all(tours)).flat()));
await browser.close();
