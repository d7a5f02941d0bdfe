// A photo as the machine gets it: the central square, resized as companion.photos has it (bilinear,
// antialiased) to whole grey levels; red, green and blue of a pixel lie side by side.

// From a square of `side` pixels to one of `size`, as torchvision resizes 8 bits: the weights are whole
// multiples of a power of two, and what comes of each row is rounded before columns are summed. add()
// takes the next rows, RGBA.
live.resizer = (side, size) => {
  const scale = side / size, reach = Math.max(scale, 1);
  const windows = Array.from({ length: size }, (_, place) => {
    const centre = (place + 0.5) * scale, first = Math.max(0, Math.floor(centre - reach + 0.5));
    const length = Math.min(side, Math.floor(centre + reach + 0.5)) - first;
    const parts = Array.from({ length }, (_, i) => Math.max(0, 1 - Math.abs(first + i + 0.5 - centre) / reach));
    const total = parts.reduce((a, b) => a + b);
    return { first, last: first + length - 1, parts: parts.map((part) => part / total) };
  });
  const largest = Math.max(...windows.map(({ parts }) => Math.max(...parts)));
  let bits = 0;
  while (bits < 22 && Math.floor(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++; // a weight has 16 bits
  const half = 2 ** (bits - 1);
  for (const one of windows) one.parts = Int32Array.from(one.parts, (part) => 0.5 + part * 2 ** bits);
  const square = new Int32Array(3 * size * size).fill(half), line = new Uint8ClampedArray(3 * size);
  let row = 0;
  const add = (rgba) => {
    for (let at = 0; at < rgba.length; at += 4 * side, row++) {
      for (let i = 0; i < line.length; i++) {
        const { first, parts } = windows[Math.floor(i / 3)];
        let sum = half;
        for (let j = 0, from = at + 4 * first + (i % 3); j < parts.length; j++, from += 4) sum += parts[j] * rgba[from];
        line[i] = sum >> bits;
      }
      windows.forEach(({ first, last, parts }, place) => {
        if (first > row || row > last) return;
        for (let i = 0; i < line.length; i++) square[place * line.length + i] += parts[row - first] * line[i];
      });
    }
  };
  return { add, result: () => Float32Array.from(square, (sum) => Math.min(255, Math.max(0, sum >> bits))) };
};

// The pixels of a file with a picture, turned as its EXIF says. Errors are for the reader.
live.photo = async (file, size) => {
  const LEAST = 32, STRIP = 2 ** 16; // pixels of the shorter side, and at a time
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw Error("This browser cannot read that file as a picture: it is damaged, cut short or of another kind. Take a whole JPEG, PNG or WebP.");
  });
  const { width, height } = bitmap, side = Math.min(width, height), rows = Math.ceil(STRIP / side);
  if (side < LEAST) throw Error(`That picture has ${width} × ${height} pixels, and ${LEAST} each way are needed.`);
  const [left, top] = [width - side, height - side].map((spare) => (spare >> 1) + (spare & (spare >> 1) & 1)); // as Python rounds
  const context = new OffscreenCanvas(side, rows).getContext("2d", { alpha: false, willReadFrequently: true });
  const { add, result } = live.resizer(side, size);
  for (let row = 0; row < side; row += rows) {
    const count = Math.min(rows, side - row);
    context.fillStyle = "white"; // behind what is transparent
    context.fillRect(0, 0, side, count);
    context.drawImage(bitmap, left, top + row, side, count, 0, 0, side, count);
    add(context.getImageData(0, 0, side, count).data);
  }
  bitmap.close();
  return result();
};
