// Roles for what Sphinx writes against the rules of HTML, so that screen readers make sense of it.
document.addEventListener("DOMContentLoaded", () => {
  const noRole = [
    "dt.sig dl, dt.sig dd", // parameters over several lines: a list of definitions without terms
    ".citation-list", // a list whose entries are no list items but have a role of their own
  ];
  document.querySelectorAll(noRole.join()).forEach((element) => element.setAttribute("role", "none"));
  // the theme's triangle before pages below a page
  document.querySelectorAll("summary:has(.toctree-toggle)").forEach((line) => line.setAttribute("aria-label", "Pages below"));
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

// A card beside a link to a word, a work, an equation or a figure: book/_ext/cards.py writes them.
document.addEventListener("DOMContentLoaded", () => {
  const root = new URL(document.documentElement.dataset.content_root, location.href).href;
  const card = document.createElement("div");
  card.className = "card-of-link";
  card.setAttribute("role", "tooltip");
  card.id = "card-of-link";
  card.hidden = true;
  document.body.append(card);
  const hide = () => {
    card.hidden = true;
  };
  const show = (link) => {
    const html = window.cards?.[link.href.replace(root, "")];
    if (!html) return;
    card.innerHTML = html;
    for (const image of card.querySelectorAll("img")) image.src = root + image.getAttribute("src");
    window.MathJax?.typesetPromise?.([card]);
    card.hidden = false;
    link.setAttribute("aria-describedby", card.id);
    const { left, bottom } = link.getBoundingClientRect();
    const room = document.documentElement.clientWidth - card.offsetWidth - 8;
    card.style.left = `${Math.max(8, Math.min(left, room))}px`;
    card.style.top = `${bottom + 4 + window.scrollY}px`;
  };
  for (const link of document.querySelectorAll(".bd-article a[href*='#']")) {
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("focus", () => show(link));
    link.addEventListener("mouseleave", hide);
    link.addEventListener("blur", hide);
  }
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
});

// A picture opens large.
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.createElement("dialog");
  dialog.className = "large-picture";
  dialog.innerHTML = '<button type="button" aria-label="Close">×</button><img alt="">';
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  for (const image of document.querySelectorAll(".picture img")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    button.setAttribute("aria-label", "Enlarge the figure");
    image.closest(".picture").after(button);
    const open = () => {
      const large = dialog.querySelector("img");
      large.src = image.currentSrc || image.src;
      large.alt = image.alt;
      dialog.showModal();
    };
    button.addEventListener("click", open);
    image.addEventListener("click", open);
  }
});

// A table of a page as CSV; a notebook's has a file.
document.addEventListener("DOMContentLoaded", () => {
  const field = (cell) => `"${cell.textContent.trim().replace(/"/g, '""').replace(/−(?=\d)/g, "-")}"`;
  for (const table of document.querySelectorAll(".bd-article table:not(.cell_output table, .autosummary)")) {
    const lines = [...table.rows].map((row) => [...row.cells].map(field).join() + "\r\n");
    const link = document.createElement("a");
    link.className = "as-csv";
    link.textContent = "CSV";
    link.download = "table.csv";
    link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(lines.join(""))}`;
    (table.closest(".pst-scrollable-table-container") ?? table).after(link);
  }
});

// One switch for all the code of a page.
document.addEventListener("DOMContentLoaded", () => {
  const folded = document.querySelectorAll("details.hide.above-input");
  const title = document.querySelector(".bd-article h1");
  if (!folded.length || !title) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "code-switch";
  const set = (shown) => {
    document.body.classList.toggle("without-code", !shown);
    button.setAttribute("aria-pressed", shown);
    button.textContent = shown ? "Hide the code" : "Show the code";
    for (const details of folded) details.open = shown;
  };
  button.addEventListener("click", () => set(document.body.classList.contains("without-code")));
  title.after(button);
  set(false);
});

// A part of the bar of verdicts shows its claims alone; chosen again, or without this script, all are there.
document.addEventListener("DOMContentLoaded", () => {
  const groups = document.querySelectorAll(".claims-group");
  if (!groups.length) return;
  const parts = document.querySelectorAll(".score a");
  const choose = (verdict) => {
    for (const part of parts) part.classList.toggle("chosen", part.classList.contains(verdict));
    for (const group of groups) group.hidden = verdict !== "" && group.id !== verdict;
  };
  for (const part of parts)
    part.addEventListener("click", (event) => {
      event.preventDefault();
      choose(part.classList.contains("chosen") ? "" : part.hash.slice(1));
    });
  if (document.querySelector(`.claims-group[id="${location.hash.slice(1)}"]`)) choose(location.hash.slice(1));
});
