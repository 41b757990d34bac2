"use strict";

/** Order of two cells of a column; what is empty comes last in either direction. */
function compareCells(one, other, numeric, direction) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const order = numeric ? Number(one) - Number(other) : one.localeCompare(other, undefined, { numeric: true });
  return direction * order;
}

/** Sort by a column: numbers begin with the largest, words with the first. A second call turns it. */
function sortBy(table, column) {
  const headers = [...table.tHead.rows[0].cells];
  const header = headers[column];
  const numeric = "numeric" in header.dataset;
  const before = header.getAttribute("aria-sort");
  const first = numeric && column > 0 ? "descending" : "ascending";
  const opposite = before === "ascending" ? "descending" : "ascending";
  const now = before === "none" ? first : opposite;
  const direction = now === "ascending" ? 1 : -1;
  const key = (row) => row.cells[column].dataset.sort;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compareCells(key(a), key(b), numeric, direction));
  table.tBodies[0].append(...rows);
  for (const other of headers) other.setAttribute("aria-sort", other === header ? now : "none");
}

/** Show only the rows that hold the words; gives how many. */
function filterRows(table, words) {
  const wanted = words.trim().toLowerCase();
  let count = 0;
  for (const row of table.tBodies[0].rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
    count += row.hidden ? 0 : 1;
  }
  return count;
}
