// The main table: sorted by any column, with arms or attacks as rows, columns on and off.

function mainTables() {
  const boxes = [...document.querySelectorAll("[data-table]")];
  if (!boxes.length) return;
  const tables = boxes.map((box) => tableOf(box));
  const byArms = tables.find((one) => one.of === "arm");
  const byAttacks = tables.find((one) => one.of === "attack");
  const view = { rows: byAttacks && byArms.box.dataset.alone !== undefined ? "attack" : "arm" };
  const place = made("details", { class: "controls" });

  function show() {
    for (const one of tables) {
      one.box.hidden = one !== byArms && view.rows !== one.of;
      one.refresh(one === byArms && view.rows === "attack");
    }
  }

  function controls() {
    const parts = [made("summary", {}, "Rows and columns")];
    if (byAttacks && byArms.box.dataset.alone === undefined) {
      const rows = (of, text) => {
        const dot = made("input", { type: "radio", name: "rows", value: of });
        dot.checked = view.rows === of;
        dot.addEventListener("change", () => { view.rows = of; controls(); show(); });
        return made("label", { class: "tick" }, dot, ` ${text}`);
      };
      parts.push(fieldset("Rows", rows("arm", "arms"), rows("attack", "attacks on membership")));
    }
    const shown = view.rows === "attack" ? byAttacks : byArms;
    for (const [name, kind] of [["Columns of", "group"], ["Quantities", "quantity"]]) {
      const keys = shown.keys(kind);
      if (keys.length < 2) continue;
      const ticks = keys.map((key) => tick(key || "the arm", !shown.hidden[kind].has(key), (on) => {
        shown.hidden[kind][on ? "delete" : "add"](key);
        show();
      }));
      parts.push(fieldset(name, ...ticks));
    }
    parts.push(button("all columns", () => { shown.all(); controls(); show(); }));
    renewed(place, ...parts);
  }

  controls();
  boxes[0].before(place);
  page.told.push(show);
  show();
}

/** One table of the page: its columns by group and quantity, what is hidden of them, its order. */
function tableOf(box) {
  const table = box.querySelector("table");
  const [groups, heads] = [...table.tHead.rows].map((row) => [...row.cells]);
  const lead = groups.filter((cell) => cell.rowSpan === 2);
  const spans = groups.slice(lead.length);
  const columns = heads.map((head) => ({ ...head.dataset, head }));
  const hidden = { group: new Set(), quantity: new Set() };
  const later = columns.filter((one) => one.later !== undefined);
  const early = new Set(columns.filter((one) => one.later === undefined).map((one) => one.quantity));
  for (const one of later) {
    if (box.dataset.table === "arm") hidden.group.add(one.group);
    else if (!early.has(one.quantity)) hidden.quantity.add(one.quantity);
  }
  const beside = box.dataset.table === "arm" ? "attack" : "arm"; // what groups of columns are
  const inOrder = [...table.tBodies[0].rows];

  sortable(table, [...lead, ...heads]);

  /** Show the columns that are on; of an arm alone where attacks are rows of another table. */
  function refresh(alone) {
    const on = columns.map((one) => !hidden.group.has(one.group) && !hidden.quantity.has(one.quantity)
      && !page.off.has(`${beside}:${one.group}`) && !(alone && one.head.dataset.membership !== undefined));
    let from = 0;
    for (const span of spans) {
      const wide = Number(span.dataset.wide ??= span.colSpan);
      const left = on.slice(from, from + wide).filter(Boolean).length;
      span.hidden = !left;
      span.colSpan = Math.max(left, 1);
      from += wide;
    }
    heads.forEach((head, i) => { head.hidden = !on[i]; });
    for (const row of inOrder) {
      row.hidden = page.off.has(row.dataset.series);
      on.forEach((shown, i) => { row.cells[lead.length + i].hidden = !shown; });
    }
  }

  return {
    box, of: box.dataset.table, hidden, refresh,
    keys: (kind) => [...new Set(columns.map((one) => one[kind]))],
    all: () => { hidden.group.clear(); hidden.quantity.clear(); },
  };
}

/** Have a table sorted by a click on a head: descending, ascending, and as it was. */
function sortable(table, heads) {
  const inOrder = [...table.tBodies[0].rows];
  let sorted = null;

  function sort(i) {
    sorted = sorted?.i === i ? (sorted.up ? null : { i, up: true }) : { i, up: false };
    heads.forEach((head, j) => {
      if (sorted?.i === j) head.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const rows = [...inOrder];
    if (sorted) rows.sort((a, b) => order(a.cells[i], b.cells[i], sorted.up));
    table.tBodies[0].append(...rows);
  }

  heads.forEach((head, i) => {
    head.replaceChildren(button(head.textContent, () => sort(i), { class: "sort" }));
  });
}

/** What a cell is sorted by: its figure or its text; null where nothing was measured. */
function worth(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  return text === "–" ? null : /^[-+]?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(text) ? Number(text) : text;
}

/** Compare two cells; what was not measured is last, whichever way the others go. */
function order(a, b, up) {
  return compared(worth(a), worth(b), up);
}
