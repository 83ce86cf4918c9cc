// Sorts a table by the column whose head is pressed. The address holds the order: #/?all-cuts=probe,descending

const valueOf = (row, column) => {
  const { value } = row.cells[column].dataset;
  return value === undefined || value === "" ? null : Number(value);
};

const sortBy = (table, column, falling) => {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const text = (row) => row.cells[column].textContent.trim();
  const before = (one, other) => {
    const [left, right] = [valueOf(one, column), valueOf(other, column)];
    if (left === null && right === null) return text(one).localeCompare(text(other), "en", { numeric: true });
    if (left === null || right === null) return left === null ? -1 : 1;
    return left - right;
  };
  rows.sort((one, other) => (falling ? before(other, one) : before(one, other)));
  body.replaceChildren(...rows);
  const heads = [...table.tHead.rows[0].cells];
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
};

const makeSortable = (table) => {
  const heads = [...table.tHead.rows[0].cells];
  const titles = heads.map((head) => head.textContent.trim());
  const unsorted = [...table.tBodies[0].rows];
  heads.forEach((head, column) => {
    const press = () => {
      const falling = head.getAttribute("aria-sort") !== "descending";
      sortBy(table, column, falling);
      setViewState({ [table.dataset.name]: `${titles[column]},${falling ? "descending" : "ascending"}` });
    };
    const button = make("button", { class: "sorter", type: "button", onclick: press, "data-term": head.dataset.term }, titles[column]);
    head.replaceChildren(head.dataset.term ? withTip(button, () => termLines(head.dataset.term)) : button);
  });

  const follow = () => {
    const [, title, order] = /^(.*),(ascending|descending)$/.exec(viewState().get(table.dataset.name) || "") || [];
    const column = titles.indexOf(title);
    if (column >= 0) return sortBy(table, column, order === "descending");
    table.tBodies[0].replaceChildren(...unsorted);
    return heads.forEach((head) => head.removeAttribute("aria-sort"));
  };
  if (viewState().has(table.dataset.name)) follow();
  window.addEventListener("hashchange", follow);
};

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
