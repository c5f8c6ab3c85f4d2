"use strict";
const every = 1000 * Number(document.body.dataset.every);
const lost = document.getElementById("lost");
async function again() {
  if (location.protocol === "file:") { location.reload(); return; }
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(next.querySelector("main"));
    document.title = next.title;
    lost.hidden = true;
  } catch (error) {
    lost.hidden = false;
  }
  setTimeout(again, every);
}
if (every) setTimeout(again, every);
