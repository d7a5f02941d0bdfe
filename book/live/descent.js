// The descent of Eq. 1 and 2 on one picture, an update at a time, as jnd.find_jnd has it. Pictures are in
// grey levels; α until a file fools and beyond, and the weights of the squared distance, of BR and of TV,
// are for pixels from 0 to 1.

live.descent = (network, side, x0, { target, alpha, after, updates = Infinity, weights: [distance, range, variation] }) => {
  const WHITE = 255, SHOWN = 0.002, x = x0.slice(), before = x0.slice(), slope = new Float32Array(x.length);
  const norm = Math.sqrt(x0.reduce((sum, value) => sum + value ** 2, 0));
  let k = 0, K = -1, file = -1, label, confidence; // file: the first k from K on whose whole grey levels fool

  // M's confidence in every class.
  const says = (picture) => {
    const logits = Float64Array.from(network.answer(picture)), most = Math.max(...logits);
    const powers = logits.map((z) => Math.exp(z - most)), total = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / total);
  };
  const surest = (sure) => sure.indexOf(Math.max(...sure));
  const rounded = () => surest(says(Uint8ClampedArray.from(x))) !== label;
  // The surest classes with their confidences: five, and all that a chart can show.
  const ranking = (sure) => {
    const order = [...sure.keys()].sort((a, b) => sure[b] - sure[a]);
    return order.filter((c, place) => place < 5 || sure[c] >= SHOWN).map((c) => [c, sure[c]]);
  };
  // How far a picture is from the photo: the sum of squares, and the largest change.
  const measured = (picture) => {
    let squares = 0, largest = 0;
    for (let i = 0; i < x.length; i++) {
      const change = Math.abs(picture[i] - x0[i]);
      squares += change ** 2;
      largest = Math.max(largest, change);
    }
    return { squares, largest };
  };

  const look = () => {
    const fools = K >= 0 && file < 0 && rounded(); // before x(k), whose layers the gradient needs
    const sure = says(x), { squares, largest } = measured(x);
    if (!Number.isFinite(squares + sure[0])) throw Error("no finite numbers");
    confidence = sure;
    label ??= surest(sure);
    if (fools) file = k;
    if (K < 0 && surest(sure) !== label) {
      K = k;
      if (rounded()) file = k;
    }
    const answers = ranking(sure), other = target ?? answers.find(([c]) => c !== label)[0];
    const jnd = norm ? Math.sqrt(squares) / norm : NaN, psnr = 10 * Math.log10((WHITE ** 2 * x.length) / squares);
    return { k, K, file, label, other, confidence: [sure[label], sure[other]], answers, jnd, psnr, largest, x };
  };

  const step = () => {
    if (!network.holds(x)) network.answer(x);
    // Loss of Eq. 1 is the cross-entropy of the target, or minus that of the label
    const wanted = target ?? label, sign = target === null ? -1 : 1;
    network.gradient(confidence.map((p, c) => sign * (p - (c === wanted))), slope);
    const row = 3 * side, back = (2 * distance) / WHITE ** 2, inward = range / WHITE;
    const pull = (2 * variation) / WHITE ** 2 / side ** 2;
    const rate = (K < 0 || (file < 0 && k < updates) ? alpha : after) * WHITE ** 2;
    for (let i = 0; i < x.length; i++) {
      const right = i % row < row - 3 ? pull * (x[i + 3] - x[i]) : 0;
      const below = i + row < x.length ? pull * (x[i + row] - x[i]) : 0;
      const away = x[i] - x0[i], outside = (x[i] > WHITE) - (x[i] < 0);
      slope[i] += back * away + inward * outside - right - below;
      if (right) slope[i + 3] += right;
      if (below) slope[i + row] += below;
    }
    before.set(x);
    for (let i = 0; i < x.length; i++) x[i] -= rate * slope[i];
    k++;
    try {
      return look();
    } catch (error) {
      x.set(before); // the last that is finite
      network.answer(x);
      throw Error(`Update ${k--} leaves the finite numbers: take a smaller α or smaller weights.`, { cause: error });
    }
  };

  // α times K of a descent away from the label, if M is as steep all along as at the photo ("Why these
  // numbers"), and the weight of the squared distance from which on it may hold the picture for ever.
  const predict = () => {
    const rest = 1 - confidence[label], m = Math.log(confidence[label] / rest);
    const q = Math.max(...confidence.filter((_, c) => c !== label)) / rest;
    network.gradient(confidence.map((p, c) => (c === label ? 1 : -p / rest)), slope);
    const steepness = slope.reduce((sum, value) => sum + (WHITE * value) ** 2, 0);
    return { time: (Math.exp(m) - q + m - Math.log(q)) / steepness, held: (steepness / 2) * Math.exp(1 - m) };
  };

  // M's answers to another picture, and to the photo with random noise as large as the change of x(k).
  const ask = (picture) => ranking(says(picture));
  const control = () => {
    const size = Math.sqrt(measured(x).squares);
    return ask(live.noise(x0.length, size).map((value, i) => value + x0[i]));
  };
  return { look, step, predict, ask, control, change: () => x.map((value, i) => value - x0[i]) };
};

// Gaussian white noise of a given norm, the same each time.
live.noise = (length, norm) => {
  let state = 1;
  const uniform = () => { // mulberry32, in 0..1 without 0
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 1) / 2 ** 32;
  };
  const noise = Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  const gain = norm / Math.sqrt(noise.reduce((sum, value) => sum + value ** 2, 0));
  return noise.map((value) => value * gain);
};
