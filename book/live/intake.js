// How a photo comes in: chosen, taken, dropped anywhere on the page, or pasted.

live.intake = (root, { own, packaged, guard }) => {
  const NOTHING = "There is no picture file in that. This page fetches nothing from other pages: save the picture, then choose the file.";
  const take = (files, always) => {
    const [file] = files;
    if (file) return own(file, file.name.replace(/\.\w+$/, ""));
    if (always) throw Error(NOTHING);
  };
  for (const input of root.querySelectorAll("[type=file]"))
    guard(input, "change", () => {
      const files = [...input.files];
      input.value = ""; // or the same file is no change a second time
      return take(files);
    });
  for (const button of root.querySelectorAll("[data-take]")) guard(button, "click", () => packaged(button.dataset.take));
  const over = (is) => root.classList.toggle("live-over", is);
  guard(window, "dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  guard(window, "dragleave", ({ relatedTarget }) => relatedTarget || over(false));
  guard(window, "drop", (event) => {
    event.preventDefault();
    over(false);
    return take(event.dataTransfer.files, true);
  });
  guard(window, "paste", (event) => {
    if (event.target.closest?.("input, textarea")) return;
    return take(event.clipboardData.files, true);
  });
};
