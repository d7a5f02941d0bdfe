// A photo as the machine gets it: the central square, resized to whole grey levels as jnd.datasets has
// it (bilinear, antialiased), red, green and blue side by side.

// Square of `side` pixels to one of `size`: add() takes its next rows, RGBA.
live.resizer = (side, size) => {
  const scale = side / size, reach = Math.max(scale, 1);
  const windows = Array.from({ length: size }, (_, place) => {
    const centre = (place + 0.5) * scale, first = Math.max(0, Math.floor(centre - reach + 0.5));
    const count = Math.min(side, Math.floor(centre + reach + 0.5)) - first;
    const share = Float64Array.from({ length: count }, (_, i) => 1 - Math.abs(first + i + 0.5 - centre) / reach);
    const total = share.reduce((a, b) => a + Math.max(b, 0), 0);
    return { first, share: share.map((part) => Math.max(part, 0) / total) };
  });
  const square = new Float64Array(3 * size * size), line = new Float64Array(3 * size);
  let row = 0, open = 0; // the next row, and the first row of the result that still takes some

  const add = (rgba) => {
    for (let at = 0; at < rgba.length; at += 4 * side, row++) {
      windows.forEach(({ first, share }, place) => {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let i = 0, from = at + 4 * first + c; i < share.length; i++, from += 4) sum += share[i] * rgba[from];
          line[3 * place + c] = sum;
        }
      });
      while (row >= windows[open].first + windows[open].share.length) open++;
      for (let place = open; place < size && windows[place].first <= row; place++) {
        const part = windows[place].share[row - windows[place].first];
        for (let i = 0; i < line.length; i++) square[place * line.length + i] += part * line[i];
      }
    }
  };
  return { add, result: () => Float32Array.from(square, Math.round) };
};

// The pixels of a file with a picture, turned as its EXIF says. Errors are meant for the reader.
live.photo = async (file, size) => {
  const LEAST = 32, STRIP = 2 ** 18; // pixels of the shorter side, and at a time
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw Error("This browser can't read that file as a picture: take a JPEG, PNG or WebP.");
  });
  const { width, height } = bitmap, side = Math.min(width, height);
  if (side < LEAST) throw Error(`That picture has ${width} × ${height} pixels: take one of ${LEAST} or more each way.`);
  const middle = (spare) => (spare >> 1) + (spare & (spare >> 1) & 1); // halves to even, as Python rounds
  const rows = Math.ceil(STRIP / side), { add, result } = live.resizer(side, size);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: rows });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  for (let row = 0; row < side; row += rows) {
    const count = Math.min(rows, side - row);
    context.fillStyle = "white"; // behind what is transparent
    context.fillRect(0, 0, side, count);
    context.drawImage(bitmap, middle(width - side), middle(height - side) + row, side, count, 0, 0, side, count);
    add(context.getImageData(0, 0, side, count).data);
    await new Promise((resolve) => setTimeout(resolve)); // the page stays awake
  }
  bitmap.close();
  return result();
};
