// The chart of confidence against update. Each line is one class, whatever its rank was at an update.

live.chart = (part, names) => {
  const POINTS = 400, HEIGHT = 40;
  const line = (sure, width) => sure.map(([k, p]) => `${((100 * k) / width).toFixed(2)},${(HEIGHT - 1 - (HEIGHT - 2) * p).toFixed(2)}`).join(" ");
  const tick = (text, left, kind = "") => {
    const label = Object.assign(document.createElement("span"), { textContent: text, className: kind });
    label.style.left = `${left}%`;
    return label;
  };

  // The classes to follow, each with the name of its style: the answer to x(0), that at K (or, before, the
  // surest other one), the target and what M says now.
  const followed = ({ label, other, answers }, atK, target) => {
    const wanted = [["label", label], ["other", atK ?? (target === null ? other : null)], ["target", target], ["now", answers[0][0]]];
    return wanted.filter(([, c], i) => c !== null && wanted.findIndex(([, earlier]) => earlier === c) === i);
  };

  // trace: of each update its number and M's answers.
  const draw = (trace, frame, target) => {
    const { k, K, file } = frame, width = live.round(Math.max(k, 20)), thin = Math.ceil(trace.length / POINTS);
    const atK = K < 0 ? null : trace.find((one) => one.k === K).answers[0][0];
    const points = trace.filter((one, i) => i % thin === 0 || one.k === K || one.k === k);
    const classes = followed(frame, atK, target);
    for (const style of ["label", "other", "target", "now"]) {
      const c = classes.find(([name]) => name === style)?.[1];
      const sure = points.map(({ k: at, answers }) => [at, answers.find(([one]) => one === c)?.[1] ?? 0]);
      part[style].setAttribute("points", c === undefined ? "" : line(sure, width));
      part[`${style}-name`].textContent = c === undefined ? "" : names[c];
    }
    const marks = [[K, "K"], [file, "file"]].filter(([at]) => at >= 0);
    part.marks.setAttribute("d", marks.map(([at]) => `M${(100 * at) / width} 0V${HEIGHT}`).join(""));
    part.ticks.replaceChildren(
      ...[0, width / 2, width].map((at) => tick(at, (100 * at) / width)),
      ...marks.map(([at, name]) => tick(name, (100 * at) / width, `live-mark live-${name}`)),
    );
  };
  // The update that is shown, where the reader has gone back to one.
  const point = (k, last) => part.point.setAttribute("transform", `translate(${k < last ? (100 * k) / live.round(Math.max(last, 20)) : -1})`);
  return { draw, point };
};
