// A figure that answers to pointer and keyboard, drawn from the data that stand beside it. It takes
// the place of the static one on a screen; print and a page without scripts have that.

const EDGE = { left: 58, right: 24, top: 10, bottom: 48 };

function chart(figure) {
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const view = { panel: 0, log: true, from: 0, to: null, at: null };
  const plot = drawn("svg", { class: "plot", tabindex: 0, role: "slider" });
  const told = made("output", { class: "told", "aria-live": "polite" });
  const legend = made("div", { class: "legend", role: "group", "aria-label": "Curves on and off" });
  const bar = made("div", { class: "controls bar" });
  const title = made("p", { class: "panel" }); // in print, which has no controls
  const live = made("div", { class: "live" }, bar, title, plot, told, legend);
  let scales, width;

  const panel = () => data.panels[view.panel];
  const shown = (kind) => (panel()[kind] ?? []).filter((one) => !page.off.has(series(one).key));
  const series = (one) => data.series[one.of];
  const curve = (line) => ({ ...data.curves[line.curve], x: data.grids[data.curves[line.curve].x] });

  // ---- what is chosen ----

  function controls() {
    const parts = [];
    if (data.panels.length > 1) {
      parts.push(choice("Shown", data.panels.map((one) => one.name), view.panel, (i) => {
        Object.assign(view, { panel: i, at: null });
        legends();
        render();
      }));
    }
    if (data.ranges) {
      const names = data.ranges.map((one) => `${digits(one)} %`);
      parts.push(choice("FPR from", names, view.from, (i) => { view.from = i; view.to = null; render(); }));
      const scale = (i) => { view.log = !i; view.from = i ? null : 0; view.to = null; controls(); render(); };
      parts.push(choice("Axes", ["logarithmic", "linear"], view.log ? 0 : 1, scale));
    }
    parts.push(button("reset", () => {
      Object.assign(view, { log: true, from: 0, to: null, at: null });
      page.off.clear();
      page.rate = null;
      controls();
      changed();
    }));
    renewed(bar, ...parts);
  }

  function legends() {
    const used = [...new Set([...(panel().lines ?? []), ...(panel().points ?? [])].map((one) => one.of))];
    legend.replaceChildren(...used.map((i) => {
      const one = data.series[i];
      const swatch = drawn("svg", { viewBox: "0 0 26 12", class: "swatch", "aria-hidden": true });
      if (panel().lines?.length) swatch.append(drawn("path", { d: "M0 6H26", ...stroke(one) }));
      if (panel().points?.length) swatch.append(mark(one, 13, 6));
      const act = () => { page.off[page.off.has(one.key) ? "delete" : "add"](one.key); changed(); };
      const chip = button("", act, { class: "chip", "data-series": one.key, "data-of": i });
      chip.append(swatch, made("span", {}, one.name), made("span", { class: "value" }));
      return chip;
    }));
  }

  // ---- drawing ----

  function render() {
    width = Math.max(280, Math.min(live.clientWidth || 640, 760));
    const height = Math.round(Math.max(260, Math.min(width * 0.66, 440)));
    scales = axesOf(width, height);
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.setAttribute("width", width);
    plot.setAttribute("height", height);
    const box = { x: EDGE.left, y: EDGE.top, width: width - EDGE.left - EDGE.right, height: height - EDGE.top - EDGE.bottom };
    title.textContent = panel().name;
    const seen = `${box.x} ${box.y} ${box.width} ${box.height}`;
    const inside = drawn("svg", { ...box, viewBox: seen, overflow: "hidden" }); // what lies outside is cut off
    plot.replaceChildren(...frame(scales, panel(), width, height), inside);
    inside.append(...guides(box), ...shown("lines").flatMap(lineOf), ...shown("points").flatMap(pointOf));
    if (page.rate !== null && data.ranges) {
      const x = scales.x(page.rate);
      inside.append(drawn("path", { d: `M${x} ${EDGE.top}V${height}`, class: "chosen" }));
    }
    plot.append(drawn("g", { class: "cursor" }));
    for (const chip of legend.children) {
      chip.setAttribute("aria-pressed", String(!page.off.has(chip.dataset.series)));
    }
    point(view.at);
  }

  function axesOf(width, height) {
    const lines = shown("lines"), points = shown("points"), of = panel();
    const log = Boolean(data.ranges) && view.log;
    const begin = data.ranges ? (view.from === null ? 0 : data.ranges[view.from]) : of.x.low;
    const x = axis(of.x, log, [begin, view.to ?? of.x.high], [EDGE.left, width - EDGE.right]);
    const inView = lines.flatMap((line) => curve(line).x.flatMap((at, i) => (
      at >= x.low && at <= x.high ? [curve(line).y[i], (curve(line).high ?? curve(line).y)[i]] : [])));
    const tops = [...inView, ...points.map((one) => one.y[2]), ...(data.ranges ? [] : [of.y.high])];
    let ends = [of.y.low, Math.max(...tops, of.y.low)];
    if (log) ends = [Math.min(x.low, of.y.high / 10), of.y.high];
    else if (data.ranges) ends = [0, Math.min(of.y.high, 1.05 * Math.max(...inView, 0) || of.y.high)];
    const y = axis(of.y, log, ends, [height - EDGE.bottom, EDGE.top]);
    return { x, y };
  }

  function guides(box) {
    return (panel().guides ?? []).map((one) => {
      if (one.diagonal) {
        const ends = steps(scales.x, 60).map((at) => `${scales.x(at)} ${scales.y(at)}`);
        return drawn("path", { d: `M${ends.join("L")}`, class: "chance" });
      }
      if (one.path) {
        const corners = one.path.map(([x, y]) => `${scales.x(x)} ${scales.y(y)}`);
        return drawn("path", { d: corners.length ? `M${corners.join("L")}` : "", class: "front" }, drawn("title", {}, one.name));
      }
      const d = one.x === undefined
        ? `M${box.x} ${scales.y(one.y)}H${box.x + box.width}`
        : `M${scales.x(one.x)} ${box.y}V${box.y + box.height}`;
      return drawn("path", { d, class: "guide" }, drawn("title", {}, one.name));
    });
  }

  function lineOf(line) {
    const { x, y, low, high } = curve(line);
    const at = (values) => x.map((one, i) => `${scales.x(one).toFixed(1)} ${scales.y(values[i]).toFixed(1)}`);
    const parts = [];
    if (low && shown("lines").length <= 4) {
      const d = `M${at(high).join("L")}L${at(low).reverse().join("L")}Z`;
      parts.push(drawn("path", { d, fill: series(line).color, class: "band" }));
    }
    parts.push(drawn("path", { d: `M${at(y).join("L")}`, ...stroke(series(line)), "data-series": series(line).key }));
    return parts;
  }

  function pointOf(one) {
    const [x, left, right] = one.x.map(scales.x), [y, bottom, top] = one.y.map(scales.y);
    const look = { ...series(one), ...one.look };
    const bars = { d: `M${left} ${y}H${right}M${x} ${bottom}V${top}`, stroke: look.color, opacity: look.opacity ?? 1, class: "bars" };
    return [drawn("path", bars), mark(look, x, y)];
  }

  // ---- reading off ----

  /** Mark what is nearest to a place, tell of it, and show every curve's value there. */
  function point(at) {
    view.at = at;
    const cursor = plot.querySelector(".cursor");
    cursor.replaceChildren();
    for (const value of legend.querySelectorAll(".value")) value.textContent = "";
    if (!at) return say(panel().hint ?? "");
    const found = panel().lines?.length ? readLines(at, cursor) : readPoint(at, cursor);
    say(found ?? panel().hint ?? "");
    return undefined;
  }

  function say(text) {
    told.textContent = text;
    plot.setAttribute("aria-valuetext", text);
    plot.setAttribute("aria-valuenow", Math.round(100 * (view.at?.share ?? 0)));
  }

  function readLines(at, cursor) {
    const rate = scales.x.back(at.x);
    const x = scales.x(rate), unit = panel().y.unit;
    cursor.append(drawn("path", { d: `M${x} ${EDGE.top}V${scales.y.range[0]}`, class: "guide" }));
    const read = shown("lines").map((line) => {
      const one = curve(line), i = nearest(one.x, rate);
      const ends = one.low ? ` [${digits(one.low[i])}, ${digits(one.high[i])}]` : "";
      const y = scales.y(one.y[i]);
      cursor.append(drawn("circle", { cx: x, cy: y, r: 3.5, fill: series(line).color }));
      return { name: series(line).name, of: line.of, text: `${digits(one.y[i])}${ends}${unit}`, gap: Math.abs(y - (at.y ?? y)), at: one.x[i] };
    });
    for (const one of read) {
      const chip = [...legend.children].find((own) => Number(own.dataset.of) === one.of);
      if (chip) chip.querySelector(".value").textContent = one.text;
    }
    if (!read.length) return null;
    const near = read.reduce((a, b) => (b.gap < a.gap ? b : a));
    return `At ${digits(near.at)} % FPR: ${near.name} finds ${near.text} of the members.`;
  }

  function readPoint(at, cursor) {
    const all = shown("points");
    if (!all.length) return null;
    const gap = (one) => Math.hypot(scales.x(one.x[0]) - at.x, scales.y(one.y[0]) - (at.y ?? scales.y(one.y[0])));
    const near = at.one ?? all.reduce((a, b) => (gap(b) < gap(a) ? b : a));
    cursor.append(drawn("circle", { cx: scales.x(near.x[0]), cy: scales.y(near.y[0]), r: 9, class: "ring" }));
    const figure = ([mean, low, high], of) => `${of.title} ${digits(mean)} [${digits(low)}, ${digits(high)}]`;
    return `${near.name ?? series(near).name}: ${figure(near.x, panel().x)}; ${figure(near.y, panel().y)}`;
  }

  // ---- pointer and keyboard ----

  const placeOf = (event) => {
    const box = plot.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((one) => one * width / box.width);
    return { x, y, share: share(x) };
  };
  const share = (x) => Math.min(Math.max((x - EDGE.left) / (width - EDGE.left - EDGE.right), 0), 1);
  let pressed = null;
  plot.addEventListener("pointermove", (event) => point(placeOf(event)));
  plot.addEventListener("pointerdown", (event) => { pressed = placeOf(event); });
  plot.addEventListener("pointerup", (event) => {
    const at = placeOf(event), began = pressed;
    pressed = null;
    if (!data.ranges || !began) return;
    if (Math.abs(at.x - began.x) < 10) return choose(at);
    const [low, high] = [began.x, at.x].sort((a, b) => a - b).map(scales.x.back);
    zoom(low, high);
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    const end = { Home: -1e9, End: 1e9 }[event.key];
    if (event.key === "Enter" || event.key === " ") choose(view.at);
    else if (event.key === "Escape") { page.rate = null; point(null); changed(); }
    else if (step || end) move(step ?? end);
    else return;
    event.preventDefault();
  });

  function move(step) {
    if (!panel().lines?.length) {
      const all = shown("points").sort((a, b) => a.x[0] - b.x[0]);
      if (!all.length) return;
      const i = view.at?.one ? all.indexOf(view.at.one) + step : 0;
      const one = all[Math.min(Math.max(i, 0), all.length - 1)];
      point({ one, share: all.indexOf(one) / Math.max(all.length - 1, 1) });
      return;
    }
    const part = Math.min(Math.max((view.at?.share ?? 0.5) + step / 60, 0), 1);
    point({ x: EDGE.left + part * (width - EDGE.left - EDGE.right), share: part });
  }

  /** Take a rate for the examples: who is found at it. */
  function choose(at) {
    if (!at || !data.ranges) return;
    page.rate = scales.x.back(at.x);
    changed();
  }

  function zoom(low, high) {
    const i = data.ranges.findLastIndex((one) => one <= low);
    view.from = i < 0 ? (view.log ? 0 : null) : i;
    view.to = high;
    controls();
    render();
  }

  const ends = { "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0, "aria-label": `${data.name}; arrow keys read it off` };
  filled(plot, ends, []);
  figure.prepend(live);
  figure.classList.add("has-live");
  controls();
  legends();
  render();
  page.told.push(render);
  new ResizeObserver(() => { if (Math.abs((live.clientWidth || width) - width) > 1) render(); }).observe(live);
}

// ---- scales, ticks, marks ----

/** A scale from values to pixels, with its way back and its range. */
function axis(of, log, [low, high], range) {
  const least = log ? Math.max(low, 1e-9) : low;
  const far = high > least ? high : least + 1;
  const to = log ? (v) => Math.log10(Math.max(v, least / 10)) : (v) => v;
  const [a, b] = [to(least), to(far)];
  const scale = (v) => range[0] + (range[1] - range[0]) * (to(v) - a) / (b - a);
  const back = (p) => {
    const t = a + (b - a) * Math.min(Math.max((p - range[0]) / (range[1] - range[0]), 0), 1);
    return log ? 10 ** t : t;
  };
  return Object.assign(scale, { low: least, high: far, log, range, back });
}

/** So many values from one end of a scale to the other. */
function steps(scale, num) {
  const [a, b] = scale.range;
  return Array.from({ length: num + 1 }, (_, i) => scale.back(a + (b - a) * i / num));
}

/** Values to write on an axis: round ones, no nearer to each other than `apart` pixels. */
function ticks(scale, apart) {
  const room = Math.abs(scale.range[1] - scale.range[0]) / apart;
  if (scale.log) {
    const decades = Math.log10(scale.high / scale.low);
    const parts = decades < 0.5 * room ? [1, 2, 5] : [1];
    const found = [];
    for (let e = Math.floor(Math.log10(scale.low)); e <= Math.log10(scale.high) + 1e-9; e += 1) {
      for (const part of parts) found.push(part * 10 ** e);
    }
    return spaced(found.filter((v) => v >= scale.low * 0.999 && v <= scale.high * 1.001), scale, apart);
  }
  const rough = (scale.high - scale.low) / Math.max(room, 1);
  const base = 10 ** Math.floor(Math.log10(rough));
  const step = base * [1, 2, 5, 10].find((one) => one * base >= rough);
  const found = [];
  for (let i = Math.ceil(scale.low / step); i * step <= scale.high + step / 1e6; i += 1) found.push(i * step);
  return spaced(found, scale, apart);
}

function spaced(values, scale, apart) {
  const kept = [];
  for (const v of values) {
    if (!kept.length || Math.abs(scale(v) - scale(kept[kept.length - 1])) >= apart) kept.push(v);
  }
  return kept;
}

/** The axes with their ticks and titles. */
function frame({ x, y }, of, width, height) {
  const bottom = height - EDGE.bottom, parts = [];
  for (const v of ticks(x, 52)) {
    const at = x(v);
    parts.push(drawn("path", { d: `M${at} ${EDGE.top}V${bottom}`, class: "grid" }));
    parts.push(drawn("text", { x: at, y: bottom + 20, "text-anchor": "middle" }, written(v, of.x)));
  }
  for (const v of ticks(y, 30)) {
    const at = y(v);
    parts.push(drawn("path", { d: `M${EDGE.left} ${at}H${width - EDGE.right}`, class: "grid" }));
    parts.push(drawn("text", { x: EDGE.left - 6, y: at + 4, "text-anchor": "end" }, written(v, of.y)));
  }
  const middle = (EDGE.top + bottom) / 2;
  parts.push(drawn("text", { x: (EDGE.left + width - EDGE.right) / 2, y: height - 6, "text-anchor": "middle", class: "title" }, of.x.title));
  parts.push(drawn("text", { transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle", class: "title" }, of.y.title));
  return parts;
}

function written(value, of) {
  return `${digits(Math.abs(value) < 1e-12 ? 0 : value)}${of.unit ?? ""}`;
}

/** The place of the value that is nearest to another one; `values` rise. */
function nearest(values, value) {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle;
    else high = middle;
  }
  return value - values[low] < values[high] - value ? low : high;
}

function stroke(one) {
  return { stroke: one.color, "stroke-dasharray": one.dash || null, class: "line" };
}

const SHAPES = {
  o: "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", s: "M-4.5 -4.5H4.5V4.5H-4.5Z", "^": "M0 -5.5L5 4.5H-5Z",
  D: "M0 -6L6 0L0 6L-6 0Z", v: "M0 5.5L5 -4.5H-5Z", P: "M-2 -5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z",
  X: "M-5 -5L-2.5 -5L0 -2.5L2.5 -5L5 -5L5 -2.5L2.5 0L5 2.5L5 5L2.5 5L0 2.5L-2.5 5L-5 5L-5 2.5L-2.5 0L-5 -2.5Z",
  "<": "M-5.5 0L4.5 -5V5Z", ">": "M5.5 0L-4.5 -5V5Z",
};

/** The mark of a series at a place; hollow where answers are averaged over draws. */
function mark(one, x, y) {
  const look = one.hollow ? { fill: "var(--paper)" } : { fill: one.color };
  return drawn("path", {
    d: SHAPES[one.marker] ?? SHAPES.o, transform: `translate(${x} ${y})`, stroke: one.color,
    "stroke-width": 1.5, opacity: one.opacity ?? 1, "data-series": one.key, ...look,
  });
}
