// Tables of the class "sortable": a button in each head sorts the rows by its column,
// numbers from the largest, words from A; pressed again, the other way round. What has no
// number stays at the end.
"use strict";

const NUMBER = /^<?\d/;

function keyOf(row, column) {
  return row.cells[column].textContent.trim();
}

function numberOf(text) {
  return NUMBER.test(text) ? parseFloat(text.replace("<", "")) : NaN;
}

function compare(a, b, numbers, direction) {
  if (!numbers) return direction * a.localeCompare(b);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
  return direction * (x - y);
}

function sort(table, column, numbers) {
  const head = table.tHead.rows[0].cells[column];
  const before = head.getAttribute("aria-sort");
  const first = numbers ? "descending" : "ascending";
  const other = numbers ? "ascending" : "descending";
  const now = before === first ? other : first;
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", now);
  const direction = now === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(keyOf(a, column), keyOf(b, column), numbers, direction));
  rows.forEach((row, i) => row.classList.toggle("row-odd", i % 2 === 1));
  rows.forEach((row, i) => row.classList.toggle("row-even", i % 2 === 0));
  table.tBodies[0].append(...rows);
}

function isOfNumbers(rows, column) {
  const known = rows.map((row) => keyOf(row, column)).filter((text) => text !== "-");
  return known.length > 0 && known.every((text) => NUMBER.test(text) || text[0] === "-");
}

function makeSortable(table) {
  const rows = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const numbers = isOfNumbers(rows, column);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    button.addEventListener("click", () => sort(table, column, numbers));
    head.replaceChildren(button);
    for (const row of numbers ? [table.tHead.rows[0], ...rows] : []) {
      row.cells[column].classList.add("number");
    }
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
});
