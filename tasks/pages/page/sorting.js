// Sorts a table by the column whose head is pressed.

const valueOf = (row, column) => {
  const { value } = row.cells[column].dataset;
  return value === undefined || value === "" ? null : Number(value);
};

const sortBy = (table, column, button) => {
  const falling = button.getAttribute("aria-sort") !== "descending";
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
  for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
  button.setAttribute("aria-sort", falling ? "descending" : "ascending");
};

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", { class: "sorter", type: "button", onclick: () => sortBy(table, column, head) }, head.textContent.trim());
    head.replaceChildren(button);
  });
}
