// The network: its answer to a picture, and the picture's gradient from that of the answer.

live.network = ({ layers, side, mean, std }, loops, bytes) => {
  const { room, view, stored, blocks, multiply, windows, depthwise } = live.kernels(loops);
  const wide = side + 1, bordered = new Float32Array(3 * wide * wide); // a border to the right and below
  const nothing = room(2048); // the bias of a gradient

  // A layer's result lies where its gradient comes later. Loops take four pixels at a time.
  const result = (pixels, channels, relu6) => ({ at: room(Math.ceil(pixels / 4) * 4 * channels), pixels, channels, relu6 });
  const values = ({ at, pixels, channels }) => view(at, pixels * channels);
  const patches = result((side / 2) ** 2, 32, false); // 3 x 3 pixels each, filled up
  const pooled = result(1, layers.at(-1).inputs, false);

  const built = [];
  live.unpack(layers, bytes).forEach(({ bias: numbers, rows, inner }, i) => {
    const { outputs, kernel = 1, stride = 1, side: to = 1, relu6 = false, depthwise: apart, add } = layers[i];
    const source = i === layers.length - 1 ? pooled : (built[i - 1]?.own ?? patches), inputs = source.channels;
    const own = result(to * to, outputs, relu6), bias = stored(numbers);
    const weight = (output, input) => (input < inner ? rows[output * inner + input] : 0);
    if (apart) {
      const taps = stored(rows.map((_, j) => weight(j % outputs, Math.floor(j / outputs))));
      const [ahead, back] = [false, true].map((gradient) => windows(kernel, stride, to * stride, gradient));
      const forward = () =>
        depthwise(source.at, taps, bias, own.at, outputs, kernel, 1, to * stride, ahead, relu6, false);
      const backward = () =>
        depthwise(own.at, taps, nothing, source.at, outputs, kernel, -stride, to, back, false, source.relu6);
      built.push({ source, own, forward, backward });
    } else {
      const ahead = blocks(inputs, outputs, (input, output) => weight(output, input)), back = blocks(outputs, inputs, weight);
      const forward = () => multiply(source.at, ahead, bias, own.at, own.pixels, inputs, outputs, relu6, false);
      const backward = () => multiply(own.at, back, nothing, source.at, own.pixels, outputs, inputs, false, source.relu6);
      built.push({ source, own, forward, backward, added: built[add]?.own });
    }
    if (add !== undefined) built[add + 1].bypass = own;
  });
  const linear = built.pop(), head = built.at(-1).own;

  const plus = (to, from) => {
    const [sums, terms] = [values(to), values(from)];
    for (let i = 0; i < sums.length; i++) sums[i] += terms[i];
  };
  // Calls back for each value of the picture: its place there, and in the bordered one.
  const eachValue = (visit) => {
    for (let y = 0, i = 0; y < side; y++) for (let x = 0; x < 3 * side; x++) visit(i++, 3 * y * wide + x);
  };
  // The same for each value of the patches: its place there, and in the bordered picture.
  const eachTap = (visit) => {
    for (let y = 0, patch = 0; y < side; y += 2)
      for (let x = 0; x < side; x += 2, patch += patches.channels)
        for (let row = 0; row < 3; row++)
          for (let j = 0; j < 9; j++) visit(patch + 9 * row + j, 3 * ((y + row) * wide + x) + j);
  };

  let held; // the picture whose layers are there
  const answer = (picture) => {
    held = picture;
    bordered.fill(0);
    eachValue((i, j) => (bordered[j] = (picture[i] - mean) / std));
    const taps = values(patches);
    eachTap((i, j) => (taps[i] = bordered[j]));
    for (const { forward, own, added } of built) {
      forward();
      if (added) plus(own, added);
    }
    const means = values(pooled).fill(0);
    values(head).forEach((value, i) => (means[i % means.length] += value / head.pixels));
    linear.forward();
    return values(linear.own);
  };

  // Of the picture that was answered last, whose layers it takes.
  const gradient = (ofLogits, ofPicture) => {
    held = undefined;
    values(linear.own).set(ofLogits);
    linear.backward();
    const means = values(pooled), before = values(head);
    before.forEach((value, i) => (before[i] = value > 0 && value < 6 ? means[i % means.length] / head.pixels : 0));
    for (const { backward, source, bypass } of built.toReversed()) {
      backward();
      if (bypass) plus(source, bypass);
    }
    bordered.fill(0);
    const taps = values(patches);
    eachTap((i, j) => (bordered[j] += taps[i]));
    eachValue((i, j) => (ofPicture[i] = bordered[j] / std));
  };

  return { answer, gradient, holds: (picture) => picture === held };
};
