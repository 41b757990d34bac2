"use strict";

const table = byId("pairs");
const view = new PairView(JSON.parse(byId("settings").textContent));

for (const [column, header] of [...table.tHead.rows[0].cells].entries()) {
  header.querySelector("button").addEventListener("click", () => sortBy(table, column));
}
table.addEventListener("click", (event) => {
  const opener = event.target.closest(".open");
  if (opener) view.open(Number(opener.dataset.pair));
});
byId("filter").addEventListener("input", (event) => {
  const count = filterRows(table, event.target.value);
  byId("matches").textContent = event.target.value.trim() ? `${count} shown` : "";
});
