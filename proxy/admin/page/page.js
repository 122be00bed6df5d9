// Fetches the page again every few seconds and swaps its <main>; says so when the sidecar stops answering,
// so that an old page never passes for a healthy sidecar.
"use strict";
const EVERY = 5000;
const lost = document.getElementById("lost");
let last = new Date();

async function refresh() {
  // Not while nobody looks, and not under somebody's selection.
  if (document.hidden || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    if (!answer.ok) throw new Error("status " + answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = fresh.querySelector("main");
    if (!main) throw new Error("not the status page");
    document.querySelector("main").replaceWith(main);
    document.title = fresh.title;
    last = new Date();
    lost.hidden = true;
    document.body.classList.remove("old");
  } catch {
    lost.textContent = "The sidecar does not answer. What you see is from " + last.toLocaleTimeString() + ".";
    lost.hidden = false;
    document.body.classList.add("old");
    document.title = "No answer · cognito-sidecar";
  }
}

setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
