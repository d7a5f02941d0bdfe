// Roles for what Sphinx writes against the rules of HTML, so that screen readers make sense of it.
document.addEventListener("DOMContentLoaded", () => {
  const noRole = [
    "dt.sig dl, dt.sig dd", // parameters over several lines: a list of definitions without terms
    ".citation-list", // a list whose entries are no list items but have a role of their own
  ];
  document.querySelectorAll(noRole.join()).forEach((element) => element.setAttribute("role", "none"));
  // folded code is called what its line shows
  document.querySelectorAll("details.hide > summary").forEach((line) => line.removeAttribute("aria-label"));
});
// What scrolls sideways can be reached by keyboard.
const reach = () => {
  for (const picture of document.querySelectorAll(".picture"))
    if (picture.scrollWidth > picture.clientWidth) picture.tabIndex = 0;
    else picture.removeAttribute("tabindex");
};
addEventListener("load", reach);
addEventListener("resize", reach);
