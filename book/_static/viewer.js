// The slider of a viewer: pictures, chart and words follow it, and buttons move it.
document.addEventListener("DOMContentLoaded", () => {
  for (const viewer of document.querySelectorAll(".viewer")) {
    const one = (selector) => viewer.querySelector(selector);
    const descents = JSON.parse(one("script").textContent);
    const slider = one("input[type=range]");
    const buttons = Object.fromEntries([...viewer.querySelectorAll("button")].map((b) => [b.value, b]));
    const arms = viewer.querySelectorAll("[name=arm]").length;
    const timers = { blink: null, play: null };
    let descent;

    const picture = (frame) => viewer.style.setProperty("--at", frame / slider.max);
    const show = () => {
      const { k, text } = descent.steps[slider.value];
      picture(slider.value);
      viewer.style.setProperty("--k", k);
      one("output").textContent = text;
      slider.setAttribute("aria-valuetext", text);
    };
    const go = (frame) => {
      slider.value = frame;
      show();
    };

    const stop = (name) => {
      clearInterval(timers[name]);
      timers[name] = null;
      buttons[name].setAttribute("aria-pressed", "false");
    };
    const toggle = (name, milliseconds, tick) => {
      const was = timers[name];
      stop("blink");
      stop("play");
      show();
      if (was) return;
      timers[name] = setInterval(tick, milliseconds);
      buttons[name].setAttribute("aria-pressed", "true");
    };
    const halt = () => ["blink", "play"].forEach(stop);

    const take = () => {
      const [photo, arm] = ["photo", "arm"].map((name) => Number(one(`[name=${name}]:checked`)?.value ?? 0));
      const before = descent;
      descent = descents[photo * arms + arm];
      const last = descent.steps.length - 1;
      for (const div of viewer.querySelectorAll(".viewer-pictures > div"))
        div.style.backgroundImage = `url("${descent.strip}")`;
      viewer.style.setProperty("--frames", last + 1);
      viewer.style.setProperty("--K", descent.K);
      ["label", "target"].forEach((name, i) => {
        one(`path.viewer-${name}`).setAttribute("d", descent.paths[i]);
        one(`span.viewer-${name}`).textContent = descent.names[i];
      });
      one(".viewer-at-K").textContent = descent.K_text;
      one(".viewer-last").textContent = descent.last;
      // at the same moment as before, or where the browser kept the slider
      const moment = before && { 0: 0, [before.start]: descent.start, [before.steps.length - 1]: last }[slider.value];
      const at = moment ?? (before ? descent.start : slider.value);
      slider.max = last;
      go(at);
    };

    const moments = { 0: () => 0, K: () => descent.start, end: () => slider.max };
    for (const [value, frame] of Object.entries(moments))
      buttons[value].addEventListener("click", () => {
        halt();
        go(frame());
      });
    let original = false;
    buttons.blink.addEventListener("click", () =>
      toggle("blink", 600, () => {
        original = !original;
        picture(original ? 0 : slider.value);
      }));
    buttons.play.addEventListener("click", () => {
      if (slider.value === slider.max) go(0);
      toggle("play", 300, () => {
        go(Number(slider.value) + 1);
        if (slider.value === slider.max) stop("play");
      });
    });
    slider.addEventListener("input", () => {
      halt();
      show();
    });
    for (const radio of viewer.querySelectorAll("[type=radio]"))
      radio.addEventListener("change", () => {
        halt();
        take();
      });
    viewer.querySelectorAll("[hidden]").forEach((part) => (part.hidden = false));
    take();
  }
});
