// Examples one by one: by score, class or id, and which of them a rate on the ROC marks.

const PAGE = 25; // rows at a time

function examples() {
  const place = document.querySelector("[data-examples]");
  if (!place) return;
  const data = JSON.parse(place.querySelector("script").textContent);
  const every = data.labels.map((_, i) => i);
  const classes = [...new Set(data.labels)].sort((a, b) => Number(a) - Number(b));
  const view = { arm: 0, label: 0, text: "", only: false, by: "found_from", up: true, from: 0 };
  const bar = made("div", { class: "controls bar" });
  const told = made("output", { class: "told", "aria-live": "polite" });
  const table = made("table", { class: "block examples" });
  const turns = made("div", { class: "controls bar" });
  place.append(bar, told, made("div", { class: "scroll" }, table), turns);
  document.querySelectorAll(".still").forEach((one) => one.remove());

  const rate = () => page.rate ?? data.rate;
  const arm = () => data.arms[view.arm];
  const isFound = (i) => arm().found_from[i] !== null && arm().found_from[i] <= rate();
  const set = (change) => { Object.assign(view, { from: 0 }, change); show(); };

  const asked = made("input", { type: "number", min: 0, max: 100, step: "any" });
  asked.addEventListener("change", () => {
    const given = Number(asked.value);
    page.rate = asked.value !== "" && given >= 0 && given <= 100 ? given : null;
    changed();
  });
  const search = made("input", { type: "search" });
  search.addEventListener("input", () => set({ text: search.value.trim() }));
  bar.append(
    ...(data.arms.length > 1 ? [choice("Arm", data.arms.map((one) => one.name), 0, (i) => set({ arm: i }))] : []),
    choice("Class", ["all", ...classes], 0, (i) => set({ label: i })),
    made("label", { class: "choice" }, "Id ", search),
    made("label", { class: "choice" }, "FPR (%), as chosen on the ROC ", asked),
    tick("only those found at it", false, (on) => set({ only: on })),
  );

  const columns = [
    ...data.ids.map((one) => ({ name: one.name.replaceAll("_", " "), of: (i) => one.values[i] })),
    { name: "class", of: (i) => data.labels[i] },
    { name: "found from FPR (%)", key: "found_from", of: (i) => arm().found_from[i] },
    { name: `found at ${digits(data.rate)} % FPR in`, key: "flagged_in", of: (i) => share(i, "in"), text: (i) => count(i, "in") },
    { name: "and in models without it", key: "flagged_out", of: (i) => share(i, "out"), text: (i) => count(i, "out") },
    { name: "memorization", key: "memorization", of: (i) => arm().memorization[i] },
  ];
  const share = (i, side) => arm()[`flagged_${side}`][i] / Math.max(arm()[`num_${side}`][i], 1);
  const count = (i, side) => `${arm()[`flagged_${side}`][i]} of ${arm()[`num_${side}`][i]}`;
  let sorted = columns.find((one) => one.key === "found_from");

  const heads = columns.map((one) => {
    const act = () => {
      view.up = sorted === one ? !view.up : true;
      sorted = one;
      set({});
    };
    return made("th", { scope: "col" }, button(one.name, act, { class: "sort" }));
  });
  const body = made("tbody");
  table.append(made("caption", {}, `Single examples under ${data.attack}`), made("thead", {}, made("tr", {}, ...heads)), body);
  const before = button("before", () => set({ from: Math.max(view.from - PAGE, 0) }));
  const after = button("after", () => set({ from: view.from + PAGE }));
  const where = made("span", {});
  turns.append(before, after, where);

  function chosen() {
    const of = classes[view.label - 1];
    const named = (i) => data.ids.some((one) => one.values[i].includes(view.text));
    const some = every.filter((i) => (of === undefined || data.labels[i] === of)
      && (!view.only || isFound(i)) && (!view.text || named(i)));
    return some.sort((a, b) => compared(sorted.of(a), sorted.of(b), view.up) || a - b);
  }

  function show() {
    const some = chosen(), shown = some.slice(view.from, view.from + PAGE);
    body.replaceChildren(...shown.map((i) => made("tr", isFound(i) ? { class: "chosen" } : {}, ...columns.map((one) => {
      const text = one.text ? one.text(i) : one.of(i);
      if (one.key === "found_from" && text !== null) {
        const act = () => { page.rate = text; changed(); };
        return made("td", {}, button(`${digits(text)}${isFound(i) ? " ✓" : ""}`, act, { class: "sort", "aria-label": `take ${digits(text)} % FPR` }));
      }
      return made("td", {}, text === null ? "–" : typeof text === "number" ? digits(text) : text);
    }))));
    heads.forEach((head, k) => {
      if (columns[k] === sorted) head.setAttribute("aria-sort", view.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    before.disabled = !view.from;
    after.disabled = view.from + PAGE >= some.length;
    where.textContent = some.length ? `${view.from + 1} to ${view.from + shown.length} of ${some.length}` : "none";
    asked.value = digits(rate());
    const found = every.filter(isFound), most = new Map();
    for (const i of found) most.set(data.labels[i], (most.get(data.labels[i]) ?? 0) + 1);
    const told_of = [...most].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name, num]) => `${num} of class ${name}`);
    told.textContent = `At ${digits(rate())} % FPR half or more of the models of ${arm().name} that were trained on them `
      + `find ${found.length} of these ${every.length} examples${told_of.length ? `: ${told_of.join(", ")}` : ""}.`;
  }

  page.told.push(show);
  show();
}

/** Compare two values; what is not known is last. */
function compared(x, y, up) {
  if (x === null || y === null) return (x === null) - (y === null);
  const [a, b] = [Number(x), Number(y)];
  const rising = Number.isNaN(a) || Number.isNaN(b) ? String(x).localeCompare(String(y)) : a - b;
  return up ? rising : -rising;
}
