// The slider of a viewer: the pictures, the line in the chart and the words follow it.
document.addEventListener("DOMContentLoaded", () => {
  for (const viewer of document.querySelectorAll(".viewer")) {
    const steps = JSON.parse(viewer.querySelector("script").textContent);
    const slider = viewer.querySelector("input");
    const show = () => {
      const { at, k, text } = steps[slider.value];
      viewer.style.setProperty("--at", at);
      viewer.style.setProperty("--k", k);
      viewer.querySelector("output").textContent = text;
      slider.setAttribute("aria-valuetext", text);
    };
    slider.addEventListener("input", show);
    show(); // a browser keeps the slider where it was when a page is loaded again
  }
});
