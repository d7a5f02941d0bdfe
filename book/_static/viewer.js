// The slider of a viewer: pictures, chart and words follow it, and buttons move it.
document.addEventListener("DOMContentLoaded", () => {
  for (const viewer of document.querySelectorAll(".viewer")) {
    const one = (selector) => viewer.querySelector(selector);
    const all = (selector) => [...viewer.querySelectorAll(selector)];
    const photos = JSON.parse(one("script").textContent);
    const slider = one("input[type=range]");
    const buttons = Object.fromEntries(all("button").map((button) => [button.value, button]));
    const timers = { blink: null, play: null };
    let photo = photos[0];
    let frame = photo.start;

    const last = () => photo.steps.length - 1;
    const picture = (shown) => viewer.style.setProperty("--at", shown / last());
    const go = (to) => {
      frame = Math.max(0, Math.min(to, last()));
      const { k, text } = photo.steps[frame];
      picture(frame);
      viewer.style.setProperty("--k", k);
      slider.value = k * slider.max;
      slider.setAttribute("aria-valuetext", text);
      one("output").textContent = text;
    };

    const stop = (name) => {
      clearInterval(timers[name]);
      timers[name] = null;
      buttons[name].setAttribute("aria-pressed", "false");
    };
    const halt = () => Object.keys(timers).forEach(stop);
    const toggle = (name, milliseconds, tick) => {
      const was = timers[name];
      halt();
      go(frame);
      if (was) return;
      timers[name] = setInterval(tick, milliseconds);
      buttons[name].setAttribute("aria-pressed", "true");
    };

    const take = (taken) => {
      const moment = { 0: 0, [photo.start]: taken.start, [last()]: taken.steps.length - 1 }[frame];
      photo = taken;
      all(".viewer-pictures > div").forEach((div, i) => {
        div.style.backgroundImage = `url("${photo.strips[i]}")`;
      });
      all("path").forEach((path, i) => path.setAttribute("d", photo.paths[i]));
      viewer.style.setProperty("--frames", last() + 1);
      viewer.style.setProperty("--K", photo.K);
      one(".viewer-short").innerHTML = photo.summary;
      one("span.viewer-label").textContent = photo.names[0];
      one("span.viewer-target").textContent = photo.names[1];
      one(".viewer-at-K").textContent = photo.K_text;
      one(".viewer-last").textContent = photo.last;
      go(moment ?? photo.start);
    };

    const nearest = (k) => {
      const distances = photo.steps.map((step) => Math.abs(step.k - k));
      return distances.indexOf(Math.min(...distances));
    };
    slider.addEventListener("input", () => {
      halt();
      go(nearest(slider.value / slider.max));
    });
    slider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      halt();
      go(frame + step);
    });
    const moments = { 0: () => 0, K: () => photo.start, end: last };
    for (const [value, moment] of Object.entries(moments))
      buttons[value].addEventListener("click", () => {
        halt();
        go(moment());
      });
    let original = false;
    buttons.blink.addEventListener("click", () =>
      toggle("blink", 600, () => {
        original = !original;
        picture(original ? 0 : frame);
      }));
    buttons.play.addEventListener("click", () => {
      if (frame === last()) go(0);
      toggle("play", 300, () => {
        go(frame + 1);
        if (frame === last()) stop("play");
      });
    });
    for (const radio of all("[type=radio]"))
      radio.addEventListener("change", () => {
        halt();
        take(photos[radio.value]);
      });
    all("[hidden]").forEach((part) => (part.hidden = false));
    take(photos[all("[type=radio]:checked")[0]?.value ?? 0]);
  }
});
