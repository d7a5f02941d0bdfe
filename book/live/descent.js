// The descent of Eq. 1 and 2 on one picture, an update at a time, as jnd.find_jnd has it. All in grey
// levels; the weights are those of the squared distance, of BR and of TV.

live.descent = (network, side, x0, { target, alpha, weights: [distance, range, variation] }) => {
  const x = x0.slice(), slope = new Float32Array(x.length);
  let k = 0, K = -1, label, confidence;

  const length = (value) => Math.sqrt(x.reduce((sum, _, i) => sum + value(i) ** 2, 0));
  const norm = length((i) => x0[i]);

  // What M says of a picture: its confidence in every class, and the classes, the surest first.
  const says = (picture) => {
    const logits = Float64Array.from(network.answer(picture)), most = Math.max(...logits);
    const powers = logits.map((z) => Math.exp(z - most)), total = powers.reduce((a, b) => a + b);
    const sure = powers.map((p) => p / total);
    return { sure, order: [...sure.keys()].sort((a, b) => sure[b] - sure[a]) };
  };

  const look = () => {
    const { sure, order } = says(x);
    confidence = sure;
    label ??= order[0];
    if (K < 0 && order[0] !== label) K = k;
    const other = target ?? order.find((c) => c !== label), moved = length((i) => x[i] - x0[i]);
    return {
      k, K, label, other, x, jnd: moved / norm,
      answers: order.slice(0, 5).map((c) => [c, sure[c]]),
      confidence: [sure[label], sure[other]],
      psnr: 20 * Math.log10((255 * Math.sqrt(x.length)) / moved),
      largest: x.reduce((most, value, i) => Math.max(most, Math.abs(value - x0[i])), 0),
    };
  };

  // dCost/dx at x(k), from Eq. 1.
  const differentiate = () => {
    // Loss is the cross-entropy of the target, or minus that of the label
    const wanted = target ?? label, sign = target === null ? -1 : 1;
    network.gradient(confidence.map((p, c) => sign * (p - (c === wanted))), slope);
    const row = 3 * side, pull = (2 * variation) / side ** 2;
    for (let i = 0; i < x.length; i++) {
      slope[i] += 2 * distance * (x[i] - x0[i]) + range * ((x[i] > 255) - (x[i] < 0));
      if (i % row < row - 3) smooth(i, i + 3, pull);
      if (i + row < x.length) smooth(i, i + row, pull);
    }
  };
  const smooth = (i, j, pull) => {
    const difference = pull * (x[j] - x[i]);
    slope[i] -= difference;
    slope[j] += difference;
  };

  const step = () => {
    differentiate();
    for (let i = 0; i < x.length; i++) x[i] -= alpha * slope[i];
    k++;
    return look();
  };

  // The answer to another picture; the network has to look at x(k) again before the next step.
  const ask = (picture) => {
    const { sure, order } = says(picture);
    network.answer(x);
    return [order[0], sure[order[0]]];
  };

  return { look, step, ask };
};
