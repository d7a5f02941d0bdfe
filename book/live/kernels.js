// What a layer computes, and the gradient of its input, in the memory that the two loops share. A pixel's
// channels lie side by side. Results are clamped to 0..6 where a ReLU6 follows. Gradients are gated: 0
// where that ReLU6 let nothing through, which the result still tells whose place they take.

live.kernels = (code) => {
  const memory = new WebAssembly.Memory({ initial: 1 }), PAGE = 2 ** 16;
  const { product, taps } = new WebAssembly.Instance(new WebAssembly.Module(code), { page: { memory } }).exports;
  const limits = (clamped, gated) => (clamped || gated ? [gated, 0, 6] : [false, -Infinity, Infinity]);
  let end = 64;

  // The address of so many numbers, all 0.
  const room = (count) => {
    const at = end;
    end += Math.ceil(count / 16) * 64;
    memory.grow(Math.max(0, Math.ceil((end - memory.buffer.byteLength) / PAGE)));
    return at;
  };
  const view = (at, count) => new Float32Array(memory.buffer, at, count);
  const stored = (numbers) => {
    const at = room(numbers.length);
    view(at, numbers.length).set(numbers);
    return at;
  };
  // A matrix in blocks of eight columns.
  const blocks = (rows, columns, value) =>
    stored(Float32Array.from({ length: rows * columns }, (_, i) => {
      const block = Math.floor(i / 8 / rows);
      return value(Math.floor(i / 8) % rows, 8 * block + (i % 8));
    }));

  // y = x w + bias, in pieces that fit the processor's cache.
  const multiply = (x, w, bias, y, rows, inner, columns, clamped, gated) => {
    const CHUNK = 48, all = Math.ceil(rows / 4) * 4;
    for (let row = 0; row < all; row += CHUNK) {
      const [from, to] = [x + 4 * row * inner, y + 4 * row * columns];
      product(from, w, bias, to, Math.min(CHUNK, all - row), inner, columns, ...limits(clamped, gated));
    }
  };

  // For each place along a side of what a convolution gives: the first place that it looks at, their
  // number, and the tap of the first. For the gradient, which asks the other way round, the same.
  const windows = (kernel, stride, side, gradient) => {
    const before = ((side / stride - 1) * stride + kernel - side) >> 1; // padding as TensorFlow's "same"
    return Array.from({ length: gradient ? side : side / stride }, (_, place) => {
      const origin = gradient ? place + before : place * stride - before;
      const first = Math.max(0, gradient ? Math.ceil((origin - kernel + 1) / stride) : origin);
      const last = gradient ? Math.floor(origin / stride) : origin + kernel - 1;
      const count = Math.min(last + 1, gradient ? side / stride : side) - first;
      return [first, count, gradient ? origin - first * stride : first - origin];
    });
  };

  // A depthwise convolution, or its gradient: from pixel to pixel the taps go on by `step`.
  const depthwise = (x, w, bias, y, channels, kernel, step, side, places, clamped, gated) => {
    const pixel = 4 * channels, pitches = [pixel * side, pixel, pixel * kernel * step, pixel * step];
    let at = y;
    for (const [top, rows, down] of places)
      for (const [left, columns, along] of places) {
        const [from, tap] = [x + pixel * (top * side + left), w + pixel * (down * kernel + along)];
        taps(from, tap, bias, at, channels, rows, columns, ...pitches, ...limits(clamped, gated));
        at += pixel;
      }
  };

  return { room, view, stored, blocks, multiply, windows, depthwise };
};
