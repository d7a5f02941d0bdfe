// The worker in which the network computes, so that the page stays quick: one reply to each message.

live.work = () => {
  let header, bytes, network, descent, x0;

  // x(k) in 8 bits, and the change from blue (less) over white to red (more).
  const drawn = ({ x, ...frame }) => {
    const picture = new Uint8ClampedArray((4 * x.length) / 3).fill(255), change = picture.slice();
    const mean = Float64Array.from({ length: x.length / 3 }, (_, pixel) => {
      const i = 3 * pixel;
      return (x[i] - x0[i] + x[i + 1] - x0[i + 1] + x[i + 2] - x0[i + 2]) / 3;
    });
    const reach = 3 * Math.sqrt(mean.reduce((sum, m) => sum + m * m, 0) / mean.length); // has the full colour
    mean.forEach((m, pixel) => {
      const share = Math.min(1, Math.abs(m / (reach || 1))), full = m > 0 ? [178, 24, 43] : [33, 102, 172];
      for (let c = 0; c < 3; c++) {
        picture[4 * pixel + c] = x[3 * pixel + c];
        change[4 * pixel + c] = 255 + share * (full[c] - 255);
      }
    });
    return { ...frame, reach, picture, change };
  };

  const jobs = {
    open: (settings) => {
      header = settings;
      bytes = new Uint8Array(header.bytes);
    },
    take: ([at, text]) => bytes.set(live.bytes(text), at),
    build: (loops) => {
      network = live.network(header, live.bytes(loops), bytes);
      bytes = null; // the network has its own copy
    },
    begin: ([pixels, settings]) => {
      x0 = pixels;
      descent = live.descent(network, header.side, x0, settings);
      return drawn(descent.look());
    },
    step: () => drawn(descent.step()),
    ask: (picture) => descent.ask(picture.filter((_, i) => i % 4 < 3)),
  };
  onmessage = ({ data: [job, argument] }) => postMessage(jobs[job](argument));
};

// The page's side of it: ask(job, argument) is a promise of the reply; questions wait for each other.
live.worker = () => {
  const sources = ["bytes", "unpack", "kernels", "network", "descent", "work"].map((name) => `live.${name} = ${live[name]};`);
  const code = new Blob([`const live = {};\n${sources.join("\n")}\nlive.work();`]); // from a disk, no address would do
  const worker = new Worker(URL.createObjectURL(code));
  let queue = Promise.resolve();
  const ask = (job, argument) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(Error(message));
    worker.postMessage([job, argument]);
  });
  return { ask: (...question) => (queue = queue.then(() => ask(...question))), end: () => worker.terminate() };
};
