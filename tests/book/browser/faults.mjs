// Do to the page "Your own photo" what once went wrong there, and print what it says as JSON.
//
//     node faults.mjs CHROMIUM ADDRESS PHOTO BLACK
//
// PHOTO is a file, BLACK one with a black picture.

import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [executablePath, address, photo, black] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath });
const context = await browser.newContext();
const complaints = [], told = {};
let tab;
const open = async (query = "") => {
  await tab?.close();
  tab = await context.newPage();
  tab.on("pageerror", (error) => complaints.push(String(error)));
  await tab.goto(address + query);
};
const note = () => tab.textContent("[data-live=note]");
const says = async (words) => {
  await tab.waitForFunction(
    (text) => new RegExp(text).test(document.querySelector("[data-live=note]").textContent), words, { timeout: 120_000 },
  );
  return note();
};
const click = (part) => tab.click(`[data-live=${part}]`);
const give = (file) => tab.setInputFiles("[type=file] >> nth=0", file);
const fill = async (values) => {
  await tab.evaluate(() => (document.querySelector(".live details").open = true));
  for (const [name, value] of Object.entries(values)) await tab.fill(`[name=${name}]`, value);
};
const number = async (part) => +(await tab.textContent(`[data-live=${part}]`));

// links
await open("?arm=bogus");
told.bogus = await note();
await open("?arm=none");
told.arm = await tab.inputValue("[name=arm]");
told.opened = await tab.evaluate(() => document.querySelector(".live details").open);
await open("?photo=own");
told.somebodys = await note();
await open("?updates=0");
await click("start");
told.noUpdates = await says("has to be");

// settings
await open();
await fill({ alpha: "0.01" });
await tab.press("[name=alpha]", "ArrowUp");
told.arrow = [await tab.inputValue("[name=alpha]")];
await tab.press("[name=alpha]", "ArrowDown");
await tab.press("[name=alpha]", "ArrowDown");
told.arrow.push(await tab.inputValue("[name=alpha]"));

// the race: Start while the photo is read
await open();
await give(photo);
await click("start");
await says("^K = ");
told.race = await tab.evaluate(() => [...document.querySelector("[data-live=original]").getContext("2d").getImageData(0, 0, 1, 1).data]);
await click("link");
told.link = await says("your settings");

// five fast steps, and a change of settings under way
await click("again");
await says("^The machine says");
await tab.evaluate(() => { for (let i = 0; i < 5; i++) document.querySelector("[data-live=step]").click(); });
await says("^k = 5");
told.steps = await number("k");
await fill({ lambda: "2" });
await tab.press("[name=lambda]", "Tab");
told.changed = [await says("old ones apply"), await number("k")];
await tab.focus("[data-live=again]");
await tab.press("[data-live=again]", "Enter");
await says("^The machine says");
told.focus = await tab.evaluate(() => document.activeElement.dataset.live);

// the same file again, a target in other letters, paste and drop without a picture
await give(photo);
told.again = await says("^The machine says");
await fill({ target: " TABBY " });
await tab.press("[name=target]", "Tab");
await says("^The machine says");
told.target = await tab.inputValue("[name=target]");
await fill({ target: "unicorn" });
await tab.press("[name=target]", "Tab");
told.unicorn = await says("knows no");
await fill({ target: "" });
await tab.press("[name=target]", "Tab");
await says("^The machine says");
for (const [kind, field] of [["paste", "clipboardData"], ["drop", "dataTransfer"]]) {
  told[kind] = await tab.evaluate(([type, name]) => {
    const event = new Event(type, { bubbles: true, cancelable: true });
    document.body.dispatchEvent(Object.assign(event, { [name]: { files: [] } }));
    return new Promise((resolve) => setTimeout(() => resolve(document.querySelector("[data-live=note]").textContent), 50));
  }, [kind, field]);
}
const base64 = readFileSync(photo).toString("base64");
await tab.evaluate((data) => {
  const file = new File([live.bytes(data)], "pasted.png");
  document.body.dispatchEvent(Object.assign(new Event("paste", { bubbles: true }), { clipboardData: { files: [file] } }));
}, base64);
told.pasted = await says("^The machine says");

// what diverges, and black
await fill({ alpha: "1e6", lambda: "1e6" });
await tab.press("[name=lambda]", "Tab");
await says("^The machine says");
await click("end");
told.diverged = [await says("finite|^k = "), await number("k")];
await fill({ alpha: "0.001", lambda: "1" });
await give(black);
await says("^The machine says");
await click("start");
told.black = [await says("^[Kk] = "), await tab.textContent("[data-live=jnd]")];

// why a file does not fool: at K, where rounding undoes it, and before K
await open("?photo=cat");
await click("start");
await says("^K = ");
for (const name of ["undone", "before"]) {
  await click("save");
  await says("holds x");
  await click("ask");
  told[name] = await says("^In the saved file");
  await tab.focus("[data-live=slider]");
  await tab.press("[data-live=slider]", "ArrowLeft");
  await tab.press("[data-live=slider]", "ArrowLeft");
}
told.back = await number("k");
await click("python");
told.python = await tab.textContent("[data-live=code]");

console.log(JSON.stringify({ told, complaints }));
await browser.close();
