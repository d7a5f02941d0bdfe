// What a layer computes, and the gradient of its input, in the memory that the two loops share.
// Pixels come row by row, the channels of a pixel side by side.

live.kernels = (code) => {
  const PAGE = 65536, CHUNK = 48; // bytes of a page of memory; rows that fit the cache
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { product, taps } = new WebAssembly.Instance(new WebAssembly.Module(code), { page: { memory } }).exports;
  const lo = (clamped) => (clamped ? 0 : -Infinity);
  const hi = (clamped) => (clamped ? 6 : Infinity);
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

  // A matrix of `inner` rows as blocks of eight columns. value(row, column) reads it.
  const blocks = (inner, columns, value) => {
    const packed = new Float32Array(inner * columns);
    let i = 0;
    for (let first = 0; first < columns; first += 8)
      for (let row = 0; row < inner; row++)
        for (let column = first; column < first + 8; column++) packed[i++] = value(row, column);
    return stored(packed);
  };

  // y = x w + bias. Clamped to 0..6 if asked; or gated: 0 where y is not inside of 0..6 before.
  const multiply = (x, w, bias, y, rows, inner, columns, clamped, gated) => {
    for (let row = 0; row < rows; row += CHUNK)
      product(
        x + 4 * row * inner, w, bias, y + 4 * row * columns, Math.min(CHUNK, rows - row), inner, columns,
        gated, lo(clamped || gated), hi(clamped || gated),
      );
  };

  // For each place of the output of a convolution the first place of its input, their number and the
  // first tap; or, for the gradient, the same from input to output.
  const windows = (kernel, stride, side, gradient) => {
    const outside = (side / stride - 1) * stride + kernel - side, before = outside >> 1;
    return Array.from({ length: gradient ? side : side / stride }, (_, place) => {
      const origin = gradient ? place + before : place * stride - before;
      const first = Math.max(0, gradient ? Math.ceil((origin - kernel + 1) / stride) : origin);
      const last = gradient
        ? Math.min(side / stride - 1, Math.floor(origin / stride))
        : Math.min(side - 1, origin + kernel - 1);
      return [first, last - first + 1, gradient ? origin - first * stride : first - origin];
    });
  };

  // A depthwise convolution or its gradient, over the windows of one side of the picture.
  const depthwise = (x, w, bias, y, channels, kernel, step, from, places, clamped, gated) => {
    const pixel = 4 * channels;
    let at = y;
    for (const [top, rows, tapDown] of places)
      for (const [left, columns, tap] of places) {
        taps(
          x + pixel * (top * from + left), w + pixel * (tapDown * kernel + tap), bias, at, channels,
          rows, columns, pixel * from, pixel, pixel * kernel * step, pixel * step,
          gated, lo(clamped || gated), hi(clamped || gated),
        );
        at += pixel;
      }
  };

  return { room, view, stored, blocks, multiply, windows, depthwise };
};
