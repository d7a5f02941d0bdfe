// The numbers of the network, out of the scripts that carry them.

const live = {}; // all that the page's scripts share

live.bytes = (base64) => {
  const letters = atob(base64), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
};

// Of each layer the bias and the rows, `inner` weights for each output. The bytes have first, for all
// layers, a unit for each row and the bias, as float32; then the rows, 24-bit multiples of their unit.
live.unpack = (layers, bytes) => {
  let at = 0;
  const floats = (count) => new Float32Array(bytes.buffer, (at += 4 * count) - 4 * count, count);
  const heads = layers.map(({ outputs }) => [floats(outputs), floats(outputs)]);
  return layers.map(({ inputs, outputs, kernel = 1, depthwise }, i) => {
    const [unit, bias] = heads[i], inner = kernel * kernel * (depthwise ? 1 : inputs);
    const rows = new Float32Array(outputs * inner);
    for (let j = 0; j < rows.length; j++, at += 3)
      rows[j] = (((bytes[at] << 8) | (bytes[at + 1] << 16) | (bytes[at + 2] << 24)) >> 8) * unit[Math.floor(j / inner)];
    return { bias, rows, inner };
  });
};
