// The page: what the reader does, and what is shown of it. Its parts have their names in data-live.

live.folder = document.currentScript.src;

live.page = (root) => {
  const part = Object.fromEntries([...root.querySelectorAll("[data-live]")].map((e) => [e.dataset.live, e]));
  const { network, names, defaults, arms, ends } = live.settings, { side, parts, bytes, megabytes } = network;
  const fields = part.form.elements, called = (c) => `“${names[c]}”`;
  const tell = (text) => (part.note.textContent = text);
  let photo, pixels; // its name, and what the machine gets
  let machine, awake; // the worker, and the promise that it has its network
  let frame, trace; // what it said last, and all confidences since x(0)
  let turn = 0, running = false; // whoever runs stops when it is another's turn

  const load = (name) => new Promise((onload, reject) => {
    const onerror = () => reject(Error(`${name} could not be loaded: try again when you are online.`));
    const src = new URL(name, live.folder);
    document.head.append(Object.assign(document.createElement("script"), { src, onload, onerror }));
  });
  const wake = async () => {
    live.arrived = (at, base64) => (machine ??= live.worker()).ask("take", [at, base64, bytes]);
    for (let i = 0; i < parts; i++) {
      tell(`Loading the network, once: ${((i / parts) * megabytes).toFixed(1)} of ${megabytes} MB.`);
      await load(`network-${i}.js`);
    }
    await machine.ask("build", [network, live.loops]);
  };
  const failed = ({ message }) => {
    machine?.end();
    machine = awake = frame = undefined;
    if (/memory|RangeError/i.test(message)) throw Error("The memory is used up: close other tabs and try again.");
    if (/WebAssembly|Compile/.test(message)) throw Error("This browser has no WebAssembly with SIMD: take a newer one.");
    throw Error(message);
  };

  const settings = () => {
    const { target: { value: name }, alpha, after, lambda, arm } = fields, target = name ? names.indexOf(name) : null;
    if (target === -1) throw Error(`The machine knows no “${name}”: take a name from the list.`);
    if (!part.form.checkValidity()) throw Error("α and the updates have to be above 0, and λ not below.");
    const weights = arms[arm.value].map((weight, i) => (i || !weight ? weight : +lambda.value)); // λ comes first
    return { target, alpha: +alpha.value, after: +after.value, weights };
  };
  const stop = () => {
    turn++;
    running = false;
    refresh();
  };
  const begin = async () => {
    stop();
    frame = undefined;
    const chosen = settings();
    await (awake ??= wake().catch(failed));
    show(await machine.ask("begin", [pixels, side, chosen]).catch(failed));
    const answer = `The machine says ${called(frame.label)}`;
    tell(`${answer}.`);
    if (chosen.target !== frame.label) return;
    frame = undefined;
    throw Error(`${answer} already: choose another target.`);
  };
  const choose = async (file, name) => {
    stop();
    tell("Reading the photo.");
    pixels = await (machine ??= live.worker()).ask("photo", [file, side]);
    photo = name;
    await begin();
  };
  const packaged = async (name) => {
    if (!live.photos) await load("photos.js");
    await choose(new Blob([live.bytes(live.photos[name])]), name);
  };
  const run = async (goesOn, words = "On its way.") => {
    if (running) return (running = false);
    if (!frame) await (pixels ? begin() : packaged(root.dataset.photo));
    const mine = ++turn;
    running = true;
    tell(words);
    do show(await machine.ask("step").catch(failed));
    while (running && mine === turn && frame.k < last() && frame.jnd < Infinity && goesOn());
    if (!(frame.jnd < Infinity)) throw Error("The picture left the finite numbers: take a smaller α.");
    if (mine !== turn) return;
    stop();
    const { k, K, label, answers: [[answer]] } = frame, changed = K === k ? `, no longer ${called(label)}` : "";
    tell(`${changed ? "K" : "k"} = ${k}: the machine ${answer === label ? "still " : ""}says ${called(answer)}${changed}.`);
  };

  // The update that ends the run: as many as are allowed until K, or so many beyond it.
  const last = () => (frame?.K > 0 ? frame.K + +fields.more.value : +fields.updates.value);
  const paint = (canvas, rgba) => canvas.getContext("2d").putImageData(new ImageData(rgba, side, side), 0, 0);
  const refresh = () => {
    const k = frame?.k ?? 0, done = k >= last();
    part.start.textContent = running ? "Pause" : k ? "Go on" : "Start";
    part.start.disabled = done;
    part.step.disabled = part.end.disabled = done || running;
    part.again.disabled = part.blink.disabled = part.save.disabled = !k;
  };
  const show = (next) => {
    frame = next;
    const { k, K, label, other, confidence, answers, jnd, psnr, largest, reach, picture, change } = frame;
    if (!k) [trace, part.jnd.textContent] = [[], "–"];
    if (!k) paint(part.original, picture);
    if (K === k) part.jnd.textContent = jnd.toPrecision(3);
    paint(part.picture, picture);
    paint(part.change, change);
    trace.push(confidence);
    [part.down, part.up].forEach((line, i) =>
      line.setAttribute("points", trace.map((sure, at) => `${at},${(39 - 38 * sure[i]).toFixed(2)}`).join(" ")));
    part.mark.setAttribute("transform", `translate(${K})`); // at −1 it is not seen
    part.chart.setAttribute("viewBox", `0 0 ${Math.max(k, 20)} 40`);
    const words = { k, K: K < 0 ? "–" : K, psnr: k ? `${psnr.toFixed(1)} dB` : "–", largest: largest.toFixed(1) };
    Object.assign(words, { label: names[label], other: names[other], reach: reach.toPrecision(2) });
    for (const [name, text] of Object.entries(words)) part[name].textContent = text;
    part.answers.replaceChildren(...answers.map(([c, sure]) => {
      const row = Object.assign(document.createElement("li"), { textContent: `${names[c]} ${sure.toFixed(2)}` });
      row.style.setProperty("--p", sure);
      return row;
    }));
    refresh();
  };

  const save = async () => {
    const { k, K, label, picture } = frame, [answer, sure] = await machine.ask("ask", picture).catch(failed);
    const canvas = new OffscreenCanvas(side, side);
    paint(canvas, picture);
    const href = URL.createObjectURL(await canvas.convertToBlob());
    Object.assign(document.createElement("a"), { href, download: `${photo}-k${k}.png` }).click();
    const missed = K < 0 ? "as in the photo" : "the rounding to 8 bits has undone it";
    tell(`In the saved file the machine sees ${called(answer)} (${sure.toFixed(2)}): ${answer === label ? missed : "it still fools"}.`);
  };
  const link = () => {
    const chosen = new URLSearchParams([...new FormData(part.form), ["photo", photo ?? root.dataset.photo]]);
    const address = `${location.href.split(/[?#]/)[0]}?${chosen}`;
    navigator.clipboard?.writeText(address).catch(() => {}); // it is shown as well
    tell(`Your settings, without the photo itself: ${address}`);
  };

  const on = (element, event, action) => element.addEventListener(event, async (happened) => {
    try {
      await action(happened);
    } catch (error) {
      stop();
      tell(error.message);
    }
  });
  const file = ([first]) => first && choose(first, first.name.replace(/\.\w+$/, ""));
  on(part.start, "click", () => run(() => frame.K !== frame.k));
  on(part.step, "click", () => run(() => false, ""));
  on(part.end, "click", () => run(() => true));
  on(part.again, "click", begin);
  on(part.blink, "click", () => part.blink.setAttribute("aria-pressed", part.blink.ariaPressed !== "true"));
  on(part.save, "click", save);
  on(part.link, "click", link);
  on(fields.arm, "change", () => ([fields.after.value, fields.more.value] = ends[fields.arm.value]));
  on(part.form, "submit", (event) => event.preventDefault());
  on(part.form, "change", ({ target }) => ([fields.updates, fields.more].includes(target) ? refresh() : pixels && begin()));
  on(root, "dragover", (event) => event.preventDefault());
  on(root, "drop", (event) => (event.preventDefault(), file(event.dataTransfer.files)));
  root.querySelectorAll("[type=file]").forEach((input) => on(input, "change", () => file(input.files)));
  root.querySelectorAll("[data-take]").forEach((button) => on(button, "click", () => packaged(button.dataset.take)));

  const given = new URLSearchParams(location.search);
  for (const [name, value] of [...Object.entries(defaults), ...given]) if (fields[name]) fields[name].value = value;
  if (live.settings.photos.includes(given.get("photo"))) root.dataset.photo = given.get("photo");
  part.original.parentElement.style.backgroundImage = `url(${new URL(`${root.dataset.photo}.webp`, live.folder)})`;
  part.names.append(...names.map((value) => Object.assign(document.createElement("option"), { value })));
  tell(`Start loads the network, ${megabytes} MB, once. A photo of yours stays on this computer.`);
  root.classList.add("live-awake");
  refresh();
};

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".live").forEach(live.page));
