// The worker that reads photos and computes, so that the page stays quick: one reply to each message.

live.work = () => {
  let bytes, network, descent, x0;
  const jobs = {
    photo: ([file, side]) => live.photo(file, side),
    take: ([at, base64, total]) => (bytes ??= new Uint8Array(total)).set(live.bytes(base64), at),
    build: ([header, loops]) => {
      network = live.network(header, live.bytes(loops), bytes);
      bytes = undefined; // the network has its own copy
    },
    begin: ([pixels, side, settings]) => {
      x0 = pixels;
      descent = live.descent(network, side, x0, settings);
      return drawn(descent.look());
    },
    step: () => drawn(descent.step()),
    ask: (picture) => descent.ask(picture.filter((_, i) => i % 4 < 3)),
  };
  onmessage = async ({ data: [job, argument] }) => {
    try {
      postMessage({ reply: await jobs[job](argument) });
    } catch ({ message }) {
      postMessage({ error: message });
    }
  };

  // x(k) in 8 bits, and the change from blue (less) over white to red (more), which `reach` has in full.
  const drawn = ({ x, ...frame }) => {
    const picture = new Uint8ClampedArray((4 * x.length) / 3).fill(255), change = picture.slice();
    const added = Float64Array.from({ length: x.length / 3 }, (_, pixel) =>
      [0, 1, 2].reduce((sum, c) => sum + (x[3 * pixel + c] - x0[3 * pixel + c]) / 3, 0));
    const reach = 3 * Math.sqrt(added.reduce((sum, one) => sum + one ** 2, 0) / added.length);
    for (let i = 0; i < x.length; i++) {
      const pixel = Math.floor(i / 3), c = i % 3, share = reach && Math.min(1, Math.abs(added[pixel]) / reach);
      const full = added[pixel] > 0 ? [178, 24, 43] : [33, 102, 172];
      picture[4 * pixel + c] = x[i];
      change[4 * pixel + c] = 255 + share * (full[c] - 255);
    }
    return { ...frame, reach, picture, change };
  };
};

// The page's side of it: ask(job, argument) promises the reply; questions wait for each other.
live.worker = () => {
  const needed = ["bytes", "unpack", "kernels", "network", "descent", "resizer", "photo", "work"];
  const code = needed.map((name) => `live.${name} = ${live[name]};`).join("\n");
  const blob = new Blob([`const live = {};\n${code}\nlive.work();`]); // a page from a disk has no other address
  const worker = new Worker(URL.createObjectURL(blob));
  let queue = Promise.resolve();
  const ask = (...question) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data: { reply, error } }) => (error ? reject(Error(error)) : resolve(reply));
    worker.onerror = ({ message }) => reject(Error(message));
    worker.postMessage(question);
  });
  return { ask: (...question) => (queue = queue.catch(() => {}).then(() => ask(...question))), end: () => worker.terminate() };
};
