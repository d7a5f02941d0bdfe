// The network: the answer to a picture, and the gradient of a picture from that of the answer.

live.network = ({ layers, side, mean, std }, loops, bytes) => {
  const { room, view, stored, blocks, multiply, windows, depthwise } = live.kernels(loops);
  const PATCH = 32, wide = side + 1; // numbers of 3 x 3 pixels, filled up; a border right and below
  const bordered = new Float32Array(wide * wide * 3);
  const nothing = room(2048); // a bias that is none

  // Each layer has one place, which holds what it gives and later the gradient of that.
  const built = live.unpack(layers, bytes).map(({ bias, rows, inner }, i) => {
    const { inputs, outputs, kernel = 1, stride = 1, side: to = 1, relu6 = false } = layers[i];
    const layer = { ...layers[i], relu6, size: to * to * outputs, pixels: Math.ceil((to * to) / 4) * 4 };
    layer.at = room(layer.pixels * outputs);
    layer.bias = stored(bias);
    if (layer.depthwise) {
      const weights = Float32Array.from(rows, (_, j) => rows[(j % outputs) * inner + ((j / outputs) | 0)]);
      layer.weights = stored(weights);
      [layer.forward, layer.backward] = [false, true].map((way) => windows(kernel, stride, to * stride, way));
    } else {
      layer.inner = i ? inputs : PATCH;
      const weight = (output, input) => (input < inner ? rows[output * inner + input] : 0);
      layer.weights = blocks(layer.inner, outputs, (input, output) => weight(output, input));
      layer.transposed = blocks(outputs, layer.inner, weight);
    }
    return layer;
  });
  const linear = built.at(-1), head = built.at(-2), area = head.side * head.side;
  const patches = { at: room(built[0].pixels * PATCH), relu6: false };
  const pooled = { at: room(4 * head.outputs), relu6: false };
  built.forEach((layer, i) => {
    layer.source = i ? built[i - 1] : patches;
    if (layer === linear) layer.source = pooled;
    if (layer.add !== undefined) built[layer.add + 1].bypass = layer;
  });
  for (const layer of [...built, pooled]) layer.values = view(layer.at, layer.size ?? head.outputs);
  patches.values = view(patches.at, built[0].pixels * PATCH);

  // Calls each patch of 3 x 3 pixels: its place among the patches and in the bordered picture.
  const eachRow = (visit) => {
    for (let y = 0, patch = 0; y < side; y += 2)
      for (let x = 0; x < side; x += 2, patch += PATCH)
        for (let row = 0; row < 3; row++) visit(patch + 9 * row, 3 * ((y + row) * wide + x));
  };
  const plus = (to, from) => {
    for (let i = 0; i < to.length; i++) to[i] += from[i];
  };

  // Logits of a picture, side x side x 3 grey levels.
  const answer = (x) => {
    bordered.fill(0);
    for (let y = 0, i = 0; y < side; y++)
      for (let j = 3 * y * wide, row = j + 3 * side; j < row; j++) bordered[j] = (x[i++] - mean) / std;
    eachRow((to, from) => {
      for (let i = 0; i < 9; i++) patches.values[to + i] = bordered[from + i];
    });
    for (const layer of built) {
      const { source, weights, bias, at, outputs, relu6 } = layer;
      if (layer === linear) {
        pooled.values.fill(0);
        for (let i = 0; i < head.size; i++) pooled.values[i % head.outputs] += head.values[i] / area;
      }
      if (layer.depthwise)
        depthwise(source.at, weights, bias, at, outputs, layer.kernel, 1, source.side, layer.forward, relu6, false);
      else multiply(source.at, weights, bias, at, layer.pixels, layer.inner, outputs, relu6, false);
      if (layer.add !== undefined) plus(layer.values, built[layer.add].values);
    }
    return linear.values;
  };

  // The gradient of the picture that was answered last, from that of its logits.
  const gradient = (ofLogits, ofPicture) => {
    linear.values.set(ofLogits);
    for (const layer of built.toReversed()) {
      const { source, at, outputs } = layer;
      if (layer.depthwise)
        depthwise(
          at, layer.weights, nothing, source.at, outputs, layer.kernel, -layer.stride, layer.side, layer.backward,
          false, source.relu6,
        );
      else multiply(at, layer.transposed, nothing, source.at, layer.pixels, outputs, layer.inner, false, source.relu6);
      if (layer === linear)
        for (let i = 0; i < head.size; i++) {
          const inside = head.values[i] > 0 && head.values[i] < 6;
          head.values[i] = inside ? pooled.values[i % head.outputs] / area : 0;
        }
      if (layer.bypass) plus(source.values, layer.bypass.values);
    }
    bordered.fill(0);
    eachRow((from, to) => {
      for (let i = 0; i < 9; i++) bordered[to + i] += patches.values[from + i];
    });
    for (let y = 0, i = 0; y < side; y++)
      for (let j = 3 * y * wide, row = j + 3 * side; j < row; j++) ofPicture[i++] = bordered[j] / std;
  };

  return { answer, gradient };
};
