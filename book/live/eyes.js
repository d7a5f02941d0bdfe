// The reader's own threshold: two pictures one after the other, which one is changed?

live.eyes = (root, part, side, guard, prepare) => {
  const PAIRS = 44, BLANK = 400, PICTURE = 500; // milliseconds
  const pace = +(root.dataset.pace ?? 1), wait = (time) => new Promise((resolve) => setTimeout(resolve, pace * time));
  const percent = (share) => `${live.number(+(100 * share).toPrecision(2))} %`;
  let going = false, reply, record;

  const draw = (values) => {
    const rgba = new Uint8ClampedArray(4 * side ** 2).fill(255);
    for (let i = 0; i < 3 * side ** 2; i++) rgba[4 * Math.floor(i / 3) + (i % 3)] = values ? values[i] : 128;
    live.paint(part.stimulus, rgba);
  };
  const say = (text) => (part.asked.textContent = text);
  // Whole device pixels for each of the picture's, so that the screen adds nothing of its own.
  const fit = () => {
    const { clientWidth, clientHeight } = part.stage, { offsetWidth, offsetHeight } = part.words, ratio = devicePixelRatio;
    const [right, below] = getComputedStyle(part.stage).flexDirection === "row" ? [offsetWidth, 0] : [0, offsetHeight];
    const most = Math.min(448, clientWidth - right - 48, clientHeight - below - 48);
    const scale = Math.max(1, Math.floor((most * ratio) / side));
    part.stimulus.style.width = part.stimulus.style.height = `${(scale * side) / ratio}px`;
    return { devicePixelRatio: ratio, devicePixelsPerPixel: scale };
  };
  const halt = () => (reply ? reply(null) : (going = false));

  // One pair; the promise of whether the reader is right.
  const pair = async (x0, changed, words) => {
    const second = Math.random() < 0.5;
    for (const [name, picture] of [["First", second ? x0 : changed], ["Second", second ? changed : x0]]) {
      draw();
      say(words);
      await wait(BLANK);
      draw(picture);
      say(name);
      await wait(PICTURE);
    }
    draw();
    if (!going) return null;
    say("Which one was changed?");
    const answer = await new Promise((resolve) => (reply = resolve));
    reply = undefined;
    return answer === null ? null : (answer === 2) === second;
  };

  const verdict = (result, { sizes, noticed, jnd }) => {
    const at = sizes[noticed.indexOf(true)], whole = at ? `${percent(at)} in whole grey levels` : `more than ${percent(sizes.at(-1))} in whole grey levels`;
    const machine = `The machine needed ${jnd ? `${percent(jnd)}, its JND(M), or ` : ""}${whole}.`;
    const ladder = `Below ${percent(sizes[0])} a screen cannot show this change at all.`;
    if (!result) return `No threshold: up to a change of ${percent(sizes.at(-1))} your answers may be guesses. ${machine} ${ladder}`;
    const { threshold, low, high } = result, times = threshold / (jnd ?? at);
    const compared = times >= 1 ? `${live.number(+times.toPrecision(2))} times as much` : `${live.number(+(1 / times).toPrecision(2))} times less`;
    return `You needed a change of ${percent(threshold)} of the photo [${percent(low)}, ${percent(high)}] to be right in 82 of 100 pairs. ${machine}${jnd || at ? ` You needed ${compared}.` : ""} ${ladder}`;
  };

  // Both psychometric functions: a curve and dots for the reader, corrected for guesses, squares for the machine.
  const figure = (result, { sizes, noticed }, answers) => {
    const [left, width, bottom, height] = [40, 280, 140, 125], lowest = Math.log(sizes[0] / 1.5), highest = Math.log(sizes.at(-1) * 1.5);
    const x = (size) => left + (width * (Math.log(size) - lowest)) / (highest - lowest), y = (share) => bottom - height * Math.max(0, share);
    const add = (name, attributes, text = "") => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.textContent = text;
      part.both.append(element);
    };
    part.both.replaceChildren();
    add("path", { d: `M${left} ${y(1)}V${bottom}H${left + width}` });
    for (const share of [0, 0.5, 1]) add("text", { x: left - 5, y: y(share) + 3, "text-anchor": "end" }, `${100 * share} %`);
    for (let size = 1e-5; size < 1; size *= 10)
      if (Math.log(size) > lowest && Math.log(size) < highest) add("text", { x: x(size), y: bottom + 12, "text-anchor": "middle" }, percent(size));
    add("text", { x: 0, y: 9 }, "Noticed: you (dots, curve; guesses taken off), the machine (squares)");
    add("text", { x: left + width, y: bottom + 27, "text-anchor": "end" }, "change, as a share of the photo");
    sizes.forEach((size, i) => add("rect", { x: x(size) - 2, y: y(+noticed[i]) - 2, width: 4, height: 4, class: "live-up" }));
    for (const size of new Set(answers.map(([one]) => one))) {
      const here = answers.filter(([one]) => one === size), share = here.filter(([, right]) => right).length / here.length;
      add("circle", { cx: x(size), cy: y(2 * share - 1), r: 1.5 + Math.sqrt(here.length), class: "live-down" });
    }
    const seen = (size) => 1 - Math.exp(-((size / result.threshold) ** result.slope));
    if (result) add("polyline", { points: sizes.map((size) => `${x(size)},${y(seen(size))}`).join(" "), class: "live-down" });
    part.both.removeAttribute("hidden");
  };

  const test = async () => {
    going = true;
    part.test.disabled = true;
    part.verdict.textContent = "Preparing the pictures.";
    part.both.setAttribute("hidden", "");
    part.record.hidden = true;
    try {
      const { kind, distance, brightness } = part.viewing.elements, ladder = await prepare(kind.value);
      const { sizes, pictures, noticed, jnd, x0, photo } = ladder, staircase = live.threshold(sizes);
      part.verdict.textContent = "";
      part.stage.showModal();
      const screen = fit();
      for (let i = 0, words; going && i <= PAIRS; i++) {
        const rung = i ? staircase.next() : sizes.length - 1; // the first pair is to learn how it goes
        const right = await pair(x0, pictures[rung], i ? `${words} Pair ${i} of ${PAIRS}.` : "A first pair to try, with the largest change.");
        if (right === null) return (part.verdict.textContent = "Stopped.");
        if (i) staircase.answer(rung, right);
        words = right ? "Right." : "Wrong.";
      }
      const result = staircase.result();
      part.verdict.textContent = verdict(result, ladder);
      figure(result, ladder, staircase.answers);
      record = { photo, change: kind.value, sizes, answers: staircase.answers, result, machine: { jnd, noticed },
        viewing: { distance: distance.value, brightness: brightness.value, ...screen } };
      part.record.hidden = false;
    } finally {
      going = false;
      part.test.disabled = false;
      part.stage.close();
      part.test.focus();
    }
  };
  guard(part.test, "click", () => test().catch((error) => (part.verdict.textContent = error.message)));
  guard(part.first, "click", () => reply?.(1));
  guard(part.second, "click", () => reply?.(2));
  for (const [element, event] of [[part.halt, "click"], [part.stage, "close"]]) guard(element, event, halt); // Escape closes it
  guard(root, "keydown", (event) => {
    const answer = { 1: 1, 2: 2, ArrowLeft: 1, ArrowRight: 2 }[event.key];
    if (!going || !answer || event.target.closest("form")) return;
    event.preventDefault();
    reply?.(answer);
  });
  guard(part.viewing, "submit", (event) => event.preventDefault());
  guard(part.record, "click", () =>
    live.download(URL.createObjectURL(new Blob([JSON.stringify(record, null, 1)], { type: "application/json" })), "my-threshold.json"));
};
