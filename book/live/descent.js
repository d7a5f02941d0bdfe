// The descent of Eq. 1 and 2 on one picture, an update at a time, as jnd.find_jnd has it. Pictures are in
// grey levels; α until K and beyond, and the weights of the squared distance, of BR and of TV, are for
// pixels from 0 to 1.

live.descent = (network, side, x0, { target, alpha, after, weights: [distance, range, variation] }) => {
  const WHITE = 255, x = x0.slice(), slope = new Float32Array(x.length);
  const norm = Math.sqrt(x0.reduce((sum, value) => sum + value ** 2, 0));
  let k = 0, K = -1, label, confidence;

  // M's confidence in every class, and the classes, the surest first.
  const says = (picture) => {
    const logits = Float64Array.from(network.answer(picture)), most = Math.max(...logits);
    const powers = logits.map((z) => Math.exp(z - most)), total = powers.reduce((a, b) => a + b);
    const sure = powers.map((power) => power / total);
    return { sure, order: [...sure.keys()].sort((a, b) => sure[b] - sure[a]) };
  };

  const look = () => {
    const { sure, order } = says(x);
    confidence = sure;
    label ??= order[0];
    if (K < 0 && order[0] !== label) K = k;
    const other = target ?? order.find((c) => c !== label);
    let squares = 0, largest = 0;
    for (let i = 0; i < x.length; i++) {
      const change = Math.abs(x[i] - x0[i]);
      squares += change ** 2;
      largest = Math.max(largest, change);
    }
    const jnd = Math.sqrt(squares) / norm, psnr = 10 * Math.log10((WHITE ** 2 * x.length) / squares);
    const answers = order.slice(0, 5).map((c) => [c, sure[c]]);
    return { k, K, label, other, confidence: [sure[label], sure[other]], answers, jnd, psnr, largest, x };
  };

  const step = () => {
    // Loss of Eq. 1 is the cross-entropy of the target, or minus that of the label
    const wanted = target ?? label, sign = target === null ? -1 : 1;
    network.gradient(confidence.map((p, c) => sign * (p - (c === wanted))), slope);
    const row = 3 * side, back = (2 * distance) / WHITE ** 2, inward = range / WHITE;
    const pull = (2 * variation) / WHITE ** 2 / side ** 2, rate = (K < 0 ? alpha : after) * WHITE ** 2;
    for (let i = 0; i < x.length; i++) {
      const right = i % row < row - 3 ? pull * (x[i + 3] - x[i]) : 0;
      const below = i + row < x.length ? pull * (x[i + row] - x[i]) : 0;
      const away = x[i] - x0[i], outside = (x[i] > WHITE) - (x[i] < 0);
      slope[i] += back * away + inward * outside - right - below;
      if (right) slope[i + 3] += right;
      if (below) slope[i + row] += below;
    }
    for (let i = 0; i < x.length; i++) x[i] -= rate * slope[i];
    k++;
    return look();
  };

  // The answer to another picture, after which the network has to see x(k) again.
  const ask = (picture) => {
    const { sure, order } = says(picture);
    network.answer(x);
    return [order[0], sure[order[0]]];
  };

  return { look, step, ask };
};
