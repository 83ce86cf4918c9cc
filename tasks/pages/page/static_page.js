// Adds tips, menus, dialogs and copy buttons to a page that is complete without scripts.

for (const link of document.querySelectorAll(".term")) explaining(link);

for (const frame of document.querySelectorAll(".no-sprite[data-command]")) withTip(frame, () => renderLines(NO_SPRITE, frame.dataset.command));

for (const badge of document.querySelectorAll(".flag-badge[data-flags]")) withTip(badge, () => flagLines(badge.dataset.flags.split(" ")));

for (const command of document.querySelectorAll("[data-copy]")) command.append(copyTool(command.dataset.copy));

for (const link of document.querySelectorAll("a.enlarges")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openPicture({ title: link.dataset.title, src: link.href });
  });
}

// The cells of a table as rows. Numbers are the exact values behind the shown ones.
const tableRows = (table) => [...table.rows].map((row) => [...row.cells].map(({ dataset, textContent }) => (dataset.value ? Number(dataset.value) : textContent.trim().replace(/\s+/g, " "))));

for (const figure of document.querySelectorAll("figure[data-share]")) {
  const table = document.querySelector(`table[data-name="${figure.dataset.table}"]`);
  const menu = shareFigure(figure.querySelector("svg"), { name: figure.dataset.share, csv: table && (() => tableRows(table)) });
  figure.prepend(make("div", { class: "figure-tools" }, menu));
}

for (const table of document.querySelectorAll("table[data-name]")) {
  const place = table.closest(".table");
  place.after(make("p", { class: "table-tools" }, shareTools({ name: table.dataset.name, csv: () => tableRows(table) })));
}

document.querySelector(".masthead").append(make("p", { class: "page-tools" }, copyLink(), " ", printTool()));
