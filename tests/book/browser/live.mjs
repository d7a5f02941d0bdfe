// What the page's scripts compute, without a browser: node live.mjs SCRIPTS MADE < QUESTIONS > ANSWERS
//
// SCRIPTS is book/live, MADE what export.py has written. There is a question on each line, JSON.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { runInThisContext } from "node:vm";

const [scripts, made] = process.argv.slice(2);
const run = (file) => runInThisContext(readFileSync(file, "utf8"), file);
for (const name of ["weights", "loops", "kernels", "network", "descent", "photo", "threshold", "choices"]) run(`${scripts}/${name}.js`);
run(`${made}/settings.js`);
const live = runInThisContext("live"), { network: header } = live.settings;

const bytes = new Uint8Array(header.bytes);
live.arrived = (at, base64) => bytes.set(live.bytes(base64), at);
for (let part = 0; part < header.parts; part++) run(`${made}/network-${part}.js`);
const network = live.network(header, live.bytes(live.loops), bytes);

const chances = live.noise(1e5, 1).map((value) => (Math.abs(value) * 1e6) % 1).values(); // from 0 to 1
const numbers = (base64, Kind) => new Kind(live.bytes(base64).buffer);
const answers = {
  /** The logits of a picture and, if asked, its gradient from that of the logits. */
  gradient({ picture, ofLogits }) {
    const logits = [...network.answer(numbers(picture, Float32Array))], ofPicture = [];
    network.gradient(numbers(ofLogits, Float32Array), ofPicture);
    return { logits, ofPicture };
  },
  /** A descent of so many updates, or until K. */
  descent({ picture, settings, updates, untilK }) {
    const descent = live.descent(network, header.side, numbers(picture, Float32Array), settings);
    let frame = descent.look();
    while (frame.k < updates && !(untilK && frame.K >= 0)) frame = descent.step();
    const { K, file, label, confidence, jnd, psnr, largest, x } = frame;
    return { K, file, label, confidence, jnd, psnr, largest, x: [...x] };
  },
  /** A square of RGBA, given in two pieces, resized. */
  resized({ rgba, side, size }) {
    const { add, result } = live.resizer(side, size), all = numbers(rgba, Uint8Array);
    const middle = 4 * side * Math.floor(side / 3);
    for (const piece of [all.subarray(0, middle), all.subarray(middle)]) add(piece);
    return [...result()];
  },
  /** What the slope at a picture says of K. */
  predict({ picture, settings }) {
    const descent = live.descent(network, header.side, numbers(picture, Float32Array), settings);
    descent.look();
    return descent.predict();
  },
  noise: ({ length, norm }) => [...live.noise(length, norm)],
  python: ({ settings, photo }) => live.python(settings, photo),
  /** The results of so many simulated observers on a ladder of quarter octaves. */
  observers({ threshold, slope, count, pairs }) {
    const sizes = Array.from({ length: 37 }, (_, i) => 0.001 * 2 ** (i / 4)), LAPSE = 0.01;
    return Array.from({ length: count }, () => {
      const staircase = live.threshold(sizes);
      for (let pair = 0; pair < pairs; pair++) {
        const rung = staircase.next();
        const right = 0.5 + (0.5 - LAPSE) * (1 - Math.exp(-((sizes[rung] / threshold) ** slope)));
        staircase.answer(rung, chances.next().value < right);
      }
      return staircase.result();
    });
  },
  /** Milliseconds of each of so many updates. */
  speed({ picture, settings, updates }) {
    const descent = live.descent(network, header.side, numbers(picture, Float32Array), settings);
    descent.look();
    return Array.from({ length: updates }, () => {
      const start = performance.now();
      descent.step();
      return performance.now() - start;
    });
  },
  /** Bytes held after many updates more than after a few. */
  growth({ picture, settings, updates }) {
    const descent = live.descent(network, header.side, numbers(picture, Float32Array), settings);
    const held = () => (globalThis.gc(), Object.values(process.memoryUsage()).slice(1).reduce((a, b) => a + b));
    descent.look();
    for (let k = 0; k < 3; k++) descent.step();
    const before = held();
    for (let k = 0; k < updates; k++) descent.step();
    return held() - before;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...question } = JSON.parse(line);
  console.log(JSON.stringify(answers[what](question)));
}
