// The worker that reads photos and computes, so that the page stays quick: one reply to each message.

live.work = () => {
  let bytes, network;
  const descents = {}, x0 = {}; // by name, as there may be two to compare
  const jobs = {
    photo: ([file, side]) => live.photo(file, side),
    take: ([at, base64, total]) => (bytes ??= new Uint8Array(total)).set(live.bytes(base64), at),
    build: ([header, loops]) => {
      network = live.network(header, live.bytes(loops), bytes);
      bytes = undefined; // the network has its own copy
    },
    begin: ([name, pixels, side, settings]) => {
      x0[name] = pixels;
      descents[name] = live.descent(network, side, pixels, settings);
      const first = drawn(name, descents[name].look());
      return { ...first, ...(settings.target === null && descents[name].predict()) };
    },
    step: (name) => drawn(name, descents[name].step()),
    control: (name) => descents[name].control(),
    ask: (picture) => descents.main.ask(picture),
    ladder: async ([kind, settings, side]) => live.ladder(network, side, x0.main, kind, settings),
  };
  onmessage = async ({ data: [job, argument] }) => {
    try {
      postMessage({ reply: await jobs[job](argument) });
    } catch ({ message }) {
      postMessage({ error: message });
    }
  };

  // x(k) in 8 bits, and the mean change of each pixel's red, green and blue.
  const drawn = (name, { x, ...frame }) => {
    const picture = new Uint8ClampedArray((4 * x.length) / 3).fill(255), from = x0[name];
    const added = Float32Array.from({ length: x.length / 3 }, (_, pixel) =>
      [0, 1, 2].reduce((sum, c) => sum + (x[3 * pixel + c] - from[3 * pixel + c]) / 3, 0));
    for (let i = 0; i < x.length; i++) picture[4 * Math.floor(i / 3) + (i % 3)] = x[i];
    return { ...frame, picture, added };
  };
};

// The page's side of it: ask(job, argument) promises the reply; questions wait for each other.
live.worker = () => {
  const needed = ["bytes", "unpack", "kernels", "network", "noise", "descent", "resizer", "photo", "ladder", "work"];
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
