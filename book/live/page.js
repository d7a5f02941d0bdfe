// The page: what the reader does, and what is shown of it. Its parts have their names in data-live.

live.folder = document.currentScript.src;

live.page = (root) => {
  const part = Object.fromEntries([...root.querySelectorAll("[data-live]")].map((e) => [e.dataset.live, e]));
  const { network, names, arms } = live.settings, { side, parts, bytes, megabytes } = network;
  const choices = live.choices(part.form, live.settings), chart = live.chart(part, names), KEPT = 60;
  const called = (c) => `“${names[c]}”`, sure = ([c, p]) => `${called(c)} (${p.toFixed(2)})`;
  const tell = (text) => (part.note.textContent = text);
  let photo, pixels; // { name, own }, and what the machine gets
  let machine, awake; // the worker, and the promise that it has its network
  let ready; // the promise that the photo is read and asked about; the last one counts
  let frame, shown; // the last x(k), and the one that is looked at
  let chosen, trace, kept, apart; // its settings; all answers since x(0); some frames; every how many
  let turn = 0, running = false, waiting = false, steps = 0; // whoever runs stops when it is another's turn
  let saved; // the file that was saved last

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
    tell("Unpacking the network.");
    await machine.ask("build", [network, live.loops]);
  };
  const failed = ({ message }) => {
    if (/finite/.test(message)) throw Error(message);
    machine?.end();
    machine = awake = ready = frame = undefined;
    if (/memory|RangeError/i.test(message)) throw Error("The memory is used up: close other tabs and try again.");
    if (/WebAssembly|Compile/.test(message)) throw Error("This browser has no WebAssembly with SIMD: take a newer one.");
    throw Error(message);
  };
  const ask = (...question) => machine.ask(...question).catch(failed);

  const stop = () => {
    running = false;
    steps = 0;
    turn++;
    refresh();
    return turn;
  };
  const prepare = (job) => {
    ready = job;
    refresh();
    return job.catch((error) => {
      if (ready === job) ready = undefined;
      throw error;
    }).finally(refresh);
  };
  const begin = async () => {
    const mine = stop();
    chosen = choices.read();
    await (awake ??= wake().catch(failed));
    if (mine !== turn) return;
    const first = await ask("begin", ["main", pixels, side, chosen]);
    if (mine !== turn) return;
    [trace, kept, apart] = [[], [], 1];
    part.blink.setAttribute("aria-pressed", "false");
    part.control.textContent = part.code.textContent = "";
    part.compare.hidden = part.code.hidden = true;
    show(first);
    const answer = `The machine says ${sure(frame.answers[0])}`;
    if (chosen.target === frame.label) {
      frame = undefined;
      throw Error(`${answer} already: choose another target.`);
    }
    tell(`${answer}. ${predicted()}`);
  };
  // What the slope at the photo says of K, for the α in the form.
  const predicted = () => {
    const { alpha, updates } = choices.fields, { time, held } = kept?.[0] ?? {};
    if (!(time > 0 && alpha.value > 0)) return "";
    const K = Math.max(1, Math.round(time / alpha.value)), more = K > updates.value ? ", which is more updates than allowed" : "";
    const doubt = chosen.weights[0] > held ? ", unless λ holds the picture back for good" : "";
    part.predicted.textContent = `(predicted: ${live.number(K)})`;
    return `Going by the slope here, K will be about ${live.number(K)}, give or take a factor of three${more}${doubt}.`;
  };
  const choose = (file, name, own) => {
    const mine = stop();
    tell("Reading the photo.");
    return prepare((async () => {
      const read = await (machine ??= live.worker()).ask("photo", [await file, side]);
      if (mine !== turn) return;
      [photo, pixels, frame] = [{ name, own }, read, undefined];
      const rgba = new Uint8ClampedArray(4 * side ** 2).fill(255);
      pixels.forEach((value, i) => (rgba[4 * Math.floor(i / 3) + (i % 3)] = value));
      [part.original, part.picture].forEach((canvas) => live.paint(canvas, rgba));
      part.change.getContext("2d").clearRect(0, 0, side, side);
      await begin();
    })());
  };
  const packaged = (name) => choose((live.photos ? Promise.resolve() : load("photos.js")).then(() => new Blob([live.bytes(live.photos[name])])), name, false);

  // Waits until the photo, the last one that was given, has been asked about.
  const settled = async () => {
    if (!ready) prepare(pixels ? begin() : packaged(root.dataset.photo)).catch(() => {});
    for (let job; job !== ready; ) await (job = ready);
  };
  // Goes on with a descent until its end or until it is where the reader wants it to be.
  const walk = async (goesOn, words) => {
    const mine = ++turn;
    running = true;
    tell(words);
    refresh();
    do {
      show(await ask("step", "main"));
      if (frame.K === frame.k) tell(`K = ${frame.K}: now ${sure(frame.answers[0])}. Running.`);
    } while (running && mine === turn && frame.k < last() && goesOn());
    if (mine !== turn) return;
    stop();
    const { k, K, file, label, answers: [[answer]] } = frame, changed = K === k ? `, no longer ${called(label)}` : "";
    const holds = file !== k ? "" : K === k ? " It still fools when rounded to whole grey levels, so you can save it." : " This is the first picture that still fools when rounded to whole grey levels: save it, then ask the machine about the file.";
    tell(`${changed ? "K" : "k"} = ${k}: the machine ${answer === label ? "still " : ""}says ${called(answer)}${changed}.${holds}`);
    const [control] = await ask("control", "main");
    if (mine + 1 === turn) part.control.textContent = `The same amount of random noise: ${control[0] === label ? "still" : "now"} ${sure(control)}.`;
  };
  const run = async (goesOn, words = "Running.") => {
    if (running) return (running = false);
    if (waiting) return;
    waiting = true;
    try {
      await settled();
    } finally {
      waiting = false;
      refresh();
    }
    if (frame && frame.k < last()) await walk(goesOn, words);
  };
  const step = () => {
    steps++;
    if (!running) return run(() => --steps > 0, "");
  };
  const start = () => {
    const toFile = frame?.K >= 0 && frame.file < 0;
    const stops = toFile ? () => frame.file !== frame.k : () => frame.K !== frame.k;
    return run(stops, toFile ? "Going on until the picture fools when rounded to whole grey levels." : "Running.");
  };

  // The update that ends the run: as many as are allowed until a file fools, or so many beyond it.
  const last = () => (frame.file > 0 ? frame.file : chosen.updates) + (frame.K > 0 ? chosen.more : 0);
  const refresh = () => {
    const k = frame?.k ?? 0, done = frame && k >= last(), focused = document.activeElement;
    const going = !k ? "Start" : frame.K >= 0 && frame.file < 0 ? "On to a file" : "Go on";
    part.start.textContent = waiting ? "Loading …" : running ? "Pause" : going;
    part.start.disabled = done || waiting;
    part.step.disabled = done || waiting || (running && !steps);
    part.end.disabled = done || running || waiting;
    for (const name of ["again", "blink", "save", "card", "python"]) part[name].disabled = !k;
    part.sides.disabled = !frame || running;
    part.ask.disabled = !saved || running;
    part.slider.disabled = running || !(kept?.length > 1);
    if (focused?.disabled && root.contains(focused)) (part.start.disabled ? part.again : part.start).focus();
  };
  const show = (next) => {
    frame = next;
    const { k, K, file, picture, answers } = frame;
    if (!k) live.paint(part.original, picture);
    trace.push({ k, answers });
    // the frames that the slider has: those apart by so many updates, K, the file and the last
    const stays = (one) => one.k % apart === 0 || one.k === K || one.k === file;
    kept = [...kept.filter(stays), frame];
    if (kept.length > KEPT) apart *= 2;
    part.slider.max = kept.length - 1;
    part.slider.value = part.slider.max;
    if (K === k) part.jnd.textContent = live.number(frame.jnd);
    if (!k) part.jnd.textContent = part.predicted.textContent = "";
    chart.draw(trace, frame, chosen.target);
    look(frame);
    refresh();
  };
  const answers = (list) => part.answers.replaceChildren(...list.slice(0, 5).map(([c, p]) => {
    const row = Object.assign(document.createElement("li"), { textContent: `${names[c]} ${p.toFixed(2)}` });
    row.style.setProperty("--p", p);
    return row;
  }));
  const look = (one) => {
    shown = one;
    const { k, psnr, largest, picture, added, jnd } = one, { K, file } = frame, reach = live.reach(added);
    live.paint(part.picture, picture);
    live.paint(part.change, live.colours(added, reach));
    const words = { k, K: K < 0 ? "–" : K, file: file < 0 ? "–" : file, change: k ? live.number(jnd) : "0" };
    Object.assign(words, { psnr: k ? `${psnr.toFixed(1)} dB` : "–", largest: live.number(largest), reach: live.number(reach) });
    for (const [name, text] of Object.entries(words)) part[name === "change" ? "far" : name].textContent = text;
    part.slider.setAttribute("aria-valuetext", `k = ${k}`);
    answers(one.answers);
    chart.point(k, frame.k);
  };

  const canvasOf = (rgba) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    live.paint(canvas, rgba);
    return canvas;
  };
  const save = async () => {
    const name = `${photo.name}-k${shown.k}.png`;
    saved = { name, frame: shown, blob: await live.file(canvasOf(shown.picture), name) };
    refresh();
    tell(`${name} holds x(${shown.k}), rounded to whole grey levels. “Ask the machine” reads the file back and shows it to the machine.`);
  };
  const askFile = async () => {
    const { blob, frame: { k, answers: [[answer]] } } = saved, { label, K } = frame;
    const read = await machine.ask("photo", [blob, side]), list = await ask("ask", read);
    answers(list);
    const undone = `the rounding to 8 bits has undone it${frame.file < 0 ? ": “On to a file” goes on until a file fools" : ""}`;
    const why = answer !== label ? undone : K < 0 || k < K ? "as in the photo, because this is before K" : "as it does in x(k) itself, which has gone back to that answer";
    tell(`In the saved file the machine sees ${sure(list[0])}: ${list[0][0] === label ? why : "it still fools"}.`);
  };
  const card = () => {
    const { k, jnd, answers: [answer] } = shown, { K, file, label } = frame, { arm, alpha, after, weights } = chosen;
    const terms = { full: "all three penalties", l2: "the squared distance only", none: "no penalties" }[arm];
    const lines = [`${called(label)} ${answer[0] === label ? "stays" : "becomes"} ${sure(answer)} after a change of ${live.number(100 * jnd)} %`,
      `k = ${k}, K = ${K < 0 ? "not reached" : K}, JND(M) = ${part.jnd.textContent || "–"}; on the right the change, full colours are ±${part.reach.textContent} grey levels`,
      `α = ${alpha}${file > 0 && k > file ? `, then ${after}` : ""}, ${terms}${weights[0] ? `, λ = ${weights[0]}` : ""}; EfficientNet-Lite0, ${side} × ${side} pixels; after Akan, Genc and Yarman Vural, 2020`];
    return live.file(live.card([part.original, canvasOf(shown.picture), part.change], lines), `${photo.name}-jnd.png`);
  };
  const copy = (text) => navigator.clipboard?.writeText(text).then(() => "Copied", () => "To copy") ?? "To copy";
  const python = async () => {
    part.code.textContent = live.python(chosen, photo.own ? "your-photo.jpg" : photo.name);
    part.code.hidden = false;
    tell(`${await copy(part.code.textContent)}: the Python call below, which gives the same K.`);
  };
  const link = async () => {
    const address = choices.link(photo?.own ? "own" : (photo?.name ?? root.dataset.photo));
    tell(`${await copy(address)}: a link to your settings${photo?.own ? ", without your photo" : ""}. ${address}`);
  };

  // Both arms to their ends, and their pictures and changes on one scale.
  const sides = async () => {
    const mine = stop();
    const ended = [];
    running = true;
    refresh();
    for (const arm of ["full", "none"]) {
      const weights = arms[arm].map((weight, i) => (i || !weight ? weight : +choices.fields.lambda.value));
      const words = arm === "full" ? "With all three penalties" : "Without penalties";
      let one = await ask("begin", ["other", pixels, side, { ...chosen, weights }]);
      for (let end = chosen.updates; one.k < end; end = one.file > 0 ? one.file + chosen.more : chosen.updates) {
        one = await ask("step", "other");
        if (mine !== turn) return;
        if (one.k % 5 === 0) tell(`${words}: update ${one.k} of ${one.file > 0 ? one.file + chosen.more : `${chosen.updates} at most`}.`);
        if (!running) return (stop(), tell("Stopped."));
      }
      ended.push([words, one]);
    }
    stop();
    const reach = Math.max(...ended.map(([, { added }]) => live.reach(added)));
    part.compare.replaceChildren(...ended.map(([words, { k, jnd, psnr, answers: [answer], picture, added }]) => {
      const box = document.createElement("figure"), caption = document.createElement("figcaption");
      caption.textContent = `${words}: ${sure(answer)} at k = ${k}, change ${live.number(100 * jnd)} %, PSNR ${psnr.toFixed(1)} dB`;
      box.append(canvasOf(picture), canvasOf(live.colours(added, reach)), caption);
      return box;
    }));
    part.compare.hidden = false;
    tell(`Below are both ends, with and without penalties. Full colours are ±${live.number(reach)} grey levels in both.`);
  };

  const guard = (element, event, action) => element.addEventListener(event, async (happened) => {
    try {
      await action(happened);
    } catch (error) {
      stop();
      tell(error.message);
    }
  });
  const again = () => prepare(begin());
  const actions = { start, step, end: () => run(() => true), again, save, ask: askFile, card, python, link, sides };
  for (const [name, action] of Object.entries(actions)) guard(part[name], "click", action);
  guard(part.blink, "click", () => part.blink.setAttribute("aria-pressed", part.blink.ariaPressed !== "true"));
  guard(part.slider, "input", () => look(kept[part.slider.value]));
  guard(part.form, "input", ({ target }) => target.name === "alpha" && frame && !frame.k && tell(predicted()));
  guard(part.form, "change", () => {
    choices.read(); // says what is wrong
    if (!frame?.k) return pixels && again();
    running = false;
    tell("“Back to the photo” starts again with the new settings; until then the old ones apply.");
  });
  live.eyes(root, part, side, guard, async (kind) => {
    await settled();
    running = false;
    const { lambda } = choices.fields, weights = (arms[kind] ?? arms.none).map((weight, i) => (i || !weight ? weight : +lambda.value));
    return { ...(await ask("ladder", [kind, { ...chosen, weights }, side])), x0: pixels, photo: photo.own ? "own" : photo.name };
  });
  live.intake(root, { own: (file, name) => choose(file, name, true), packaged, guard });

  const given = new URLSearchParams(location.search), said = choices.fill(given);
  if (live.settings.photos.includes(given.get("photo"))) root.dataset.photo = given.get("photo");
  part.original.parentElement.style.backgroundImage = `url(${new URL(`${root.dataset.photo}.webp`, live.folder)})`;
  part.names.append(...names.map((value) => Object.assign(document.createElement("option"), { value })));
  tell(`${said} Start loads the network once (${megabytes} MB). Your photo stays on this computer.`.trim());
  root.classList.add("live-awake");
  refresh();
};

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".live").forEach(live.page));
