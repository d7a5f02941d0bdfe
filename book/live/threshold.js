// The threshold of somebody who says which of two pictures is changed: QUEST+ (Watson 2017) for the one
// parameter that is asked for. Right answers follow a Weibull function of the size; of threshold, slope and
// lapses every combination keeps its probability, and the next size is the one after which the threshold
// is expected to be known best.

live.threshold = (sizes) => {
  const STEP = 0.5 * Math.log(sizes.at(-1) / sizes[0]) / (sizes.length - 1), BEYOND = 16; // half a rung; rungs
  const SLOPES = [1.5, 2, 3, 4, 5, 6], LAPSES = [0.01, 0.04];
  const count = 2 * sizes.length + 2 * BEYOND + 8, first = Math.log(sizes[0]) - 8 * STEP;
  const thresholds = Array.from({ length: count }, (_, i) => first + i * STEP);
  const others = SLOPES.flatMap((slope) => LAPSES.map((lapse) => [slope, lapse]));
  const right = (size, threshold, [slope, lapse]) =>
    0.5 + (0.5 - lapse) * (1 - Math.exp(-Math.exp(slope * (Math.log(size) - threshold))));
  const likelihood = sizes.map((size) =>
    new Float64Array(count * others.length).map((_, i) =>
      right(size, thresholds[Math.floor(i / others.length)], others[i % others.length])));
  let posterior = new Float64Array(count * others.length).fill(1 / count / others.length);
  const answers = []; // [size, right] each

  // What is known of the threshold alone, after a right answer on a rung if there is one.
  const marginal = (rights) => {
    const over = new Float64Array(count), known = posterior, { length } = others;
    for (let i = 0, j = 0; i < count; i++) {
      let sum = 0;
      for (const end = j + length; j < end; j++) sum += rights ? known[j] * rights[j] : known[j];
      over[i] = sum;
    }
    return over;
  };
  // The rung to ask at next.
  const next = () => {
    const now = marginal();
    const expected = likelihood.map((rights) => {
      const ifRight = marginal(rights), total = ifRight.reduce((a, b) => a + b);
      let entropy = 0;
      for (let i = 0; i < count; i++) {
        const p = ifRight[i], q = now[i] - p;
        entropy -= (p > 0 && p * Math.log(p / total)) + (q > 0 && q * Math.log(q / (1 - total)));
      }
      return entropy;
    });
    return expected.indexOf(Math.min(...expected));
  };
  const answer = (rung, isRight) => {
    answers.push([sizes[rung], isRight]);
    posterior = posterior.map((p, i) => p * (isRight ? likelihood[rung][i] : 1 - likelihood[rung][i]));
    const total = posterior.reduce((a, b) => a + b);
    posterior = posterior.map((p) => p / total);
  };

  // The posterior's median of the threshold, as a mean would follow large thresholds that are hardly probable;
  // an interval of 95 %; the mean of the slope. Null if the interval leaves the ladder at the top, as that of
  // somebody who guesses does.
  const result = () => {
    const known = marginal();
    const quantile = (share) => {
      let sum = 0;
      const i = known.findIndex((p) => (sum += p) >= share);
      return Math.exp(thresholds[i] + STEP * (0.5 - (sum - share) / known[i]));
    };
    const [low, threshold, high] = [0.025, 0.5, 0.975].map(quantile);
    const slope = posterior.reduce((sum, p, i) => sum + p * others[i % others.length][0], 0);
    return high > sizes.at(-1) ? null : { threshold, low, high, slope };
  };
  return { next, answer, result, answers };
};
