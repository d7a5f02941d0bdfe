// Pictures on the page: x(k), the change in colours, and one to share.

// The next of 1, 2, 5, 10, 20 … that is no smaller, so that scales move seldom.
live.round = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return value > 0 ? [1, 2, 5, 10].map((digit) => digit * power).find((round) => round >= value * (1 - 1e-9)) : 0;
};
// A number for people, in three digits at most.
live.number = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return size >= 1e5 || (size > 0 && size < 1e-5) ? value.toExponential(1).replace("e", " · 10^").replace("+", "")
    : size >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));
};

live.paint = (canvas, rgba) => canvas.getContext("2d").putImageData(new ImageData(rgba, canvas.width, canvas.height), 0, 0);

// What the full colours of a change stand for: three times its root mean square, in grey levels.
live.reach = (added) => live.round(3 * Math.sqrt(added.reduce((sum, one) => sum + one ** 2, 0) / added.length));

// The change from blue (less) over white to red (more), which `reach` has in full.
live.colours = (added, reach) => {
  const RED = [178, 24, 43], BLUE = [33, 102, 172];
  const rgba = new Uint8ClampedArray(4 * added.length).fill(255);
  for (let pixel = 0; pixel < added.length; pixel++) {
    const share = reach && Math.min(1, Math.abs(added[pixel]) / reach), full = added[pixel] > 0 ? RED : BLUE;
    for (let c = 0; c < 3; c++) rgba[4 * pixel + c] = 255 + share * (full[c] - 255);
  }
  return rgba;
};

live.download = (href, name) => Object.assign(document.createElement("a"), { href, download: name }).click();
live.file = (canvas, name) => new Promise((resolve) => canvas.toBlob((blob) => {
  live.download(URL.createObjectURL(blob), name);
  resolve(blob);
}));

// One picture of photo, x(k) and change, with lines of text below.
live.card = (panels, lines) => {
  const [{ width: side }] = panels, GAP = 12, LINE = 22;
  const canvas = Object.assign(document.createElement("canvas"), { width: 3 * side + 4 * GAP, height: side + 2 * GAP + LINE * lines.length + GAP });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  panels.forEach((panel, i) => context.drawImage(panel, GAP + i * (side + GAP), GAP));
  context.fillStyle = "black";
  lines.forEach((line, i) => {
    context.font = `${i ? "" : "bold "}15px sans-serif`;
    context.fillText(line, GAP, side + 2 * GAP + LINE * (i + 0.7), canvas.width - 2 * GAP);
  });
  return canvas;
};
