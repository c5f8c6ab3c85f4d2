// What all parts of the page share: which arms are on, which false positive rate is chosen, and
// small helpers. Text is always set as text, never as HTML.
const SVG = "http://www.w3.org/2000/svg";
const page = { off: new Set(), rate: null, told: [] };

/** Tell every part that arms were switched, or that a rate was chosen. */
function changed() {
  for (const tell of page.told) tell();
}

/** An element with attributes and children; a string is a text. */
function made(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same of an SVG. */
function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** A box to tick with its name. */
function tick(name, checked, act) {
  const box = made("input", { type: "checkbox" });
  box.checked = checked;
  box.addEventListener("change", () => act(box.checked));
  return made("label", { class: "tick" }, box, ` ${name}`);
}

/** A list to choose from: names by value. */
function choice(name, names, chosen, act) {
  const list = made("select");
  names.forEach((text, i) => list.append(made("option", { value: i }, text)));
  list.value = chosen;
  list.addEventListener("change", () => act(Number(list.value)));
  return made("label", { class: "choice" }, `${name} `, list);
}

function fieldset(name, ...parts) {
  return made("fieldset", {}, made("legend", {}, name), ...parts);
}

function button(text, act, attributes = {}) {
  return made("button", { type: "button", onclick: act, ...attributes }, text);
}

/** 0.0123456 -> "0.0123", never in powers of ten between 0.00001 and a million. */
function digits(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return String(Number(value.toPrecision(3)));
}

/** Put new parts in a place; who was at its third control is at the third again. */
function renewed(place, ...parts) {
  const controls = () => [...place.querySelectorAll("summary, input, select, button")];
  const at = controls().indexOf(document.activeElement);
  place.replaceChildren(...parts);
  if (at >= 0) controls()[at]?.focus();
}

/** What is wider than the window is scrolled by the keyboard too: it can be reached by it. */
function scrolledByKeyboard() {
  const seen = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  document.querySelectorAll(".scroll").forEach((box) => seen.observe(box));
}
