// Tables of the class "sortable": a click on a heading sorts by it, a second click the other way.
// A cell counts as its first number where it begins with one, and otherwise as text.
function valueOf(row, column) {
  const text = row.cells[column].textContent.trim().replace(/,/g, "");
  const number = text.match(/^[+-]?\d+(\.\d+)?/);
  return number ? Number(number[0]) : text.toLowerCase();
}

function order(a, b) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return typeof a === "number" ? a - b : a.localeCompare(b);
}

function sort(table, heading) {
  const headings = [...table.tHead.rows[0].cells];
  const column = headings.indexOf(heading);
  const direction = heading.ariaSort === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
  rows.sort((a, b) => {
    if (a[0] === "" || b[0] === "") return (a[0] === "") - (b[0] === ""); // empty cells stay last
    return sign * order(a[0], b[0]);
  });
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, heading));
    heading.append(button);
  }
}
