// The pictures between which the reader chooses, and what the machine says of them: the photo with so much
// of a change, in whole grey levels, on rungs a quarter of an octave apart. The first rung is the first
// at which a screen shows anything at all.

// kind: "full" or "none", the change up to K with that arm, or "noise", white noise.
live.ladder = (network, side, x0, kind, settings) => {
  const RUNG = 2 ** 0.25, MOST = 0.5, norm = Math.sqrt(x0.reduce((sum, value) => sum + value ** 2, 0));
  if (!norm) throw Error("A black photo has no size by which to measure a change: take another.");
  const descent = live.descent(network, side, x0, settings);
  let last = descent.look();
  const { label } = last;
  let change;
  if (kind === "noise") change = live.noise(x0.length, norm);
  else {
    while (last.K < 0 && last.k < settings.updates) last = descent.step();
    if (last.K < 0) throw Error("K is not reached with these settings, so there is no change to look at.");
    change = last.x.map((value, i) => (value - x0[i]) / last.jnd); // as large as the photo
  }
  const stimulus = (size) => Uint8ClampedArray.from(x0, (value, i) => value + size * change[i]);
  const far = (picture) => Math.sqrt(picture.reduce((sum, value, i) => sum + (value - x0[i]) ** 2, 0)) / norm;
  const largest = change.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const rungs = [];
  for (let size = 0.5 / largest; size < MOST * RUNG; size *= RUNG) {
    const picture = stimulus(size), shown = far(picture); // rounding and clipping make it another size
    if (shown > (rungs.at(-1)?.shown ?? 0) * 2 ** 0.125) rungs.push({ size, shown, noticed: descent.ask(picture)[0][0] !== label });
  }
  return { sizes: rungs.map(({ shown }) => shown), noticed: rungs.map(({ noticed }) => noticed),
    pictures: rungs.map(({ size }) => stimulus(size)), label, jnd: kind === "noise" ? null : last.jnd };
};
