// The keyboard: / searches, j and k walk through the logs, and what a log can do has a letter.

import { toggle } from "./rows.js";
import { $ } from "./text.js";

// act: {showContext(hit), toggleLive(), togglePause()}.
export function startKeys(act) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape") return escape();
    if (document.querySelector("dialog[open]") || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    const body = document.activeElement.closest?.(".log");
    const act_ = {
      "/": () => $("q").select(),
      j: () => walk(body, 1),
      k: () => walk(body, -1),
      o: () => body && toggle(body),
      c: () => body && act.showContext(body.hit),
      l: act.toggleLive,
      p: act.togglePause,
      "?": () => $("help").showModal(),
    }[event.key];
    if (!act_) return;
    event.preventDefault();
    act_();
  });
}

function walk(body, step) {
  const bodies = [...document.querySelectorAll(".log")];
  const at = body ? bodies.indexOf(body) + step : 0;
  const next = bodies[Math.max(0, Math.min(bodies.length - 1, at))];
  next?.querySelector(".toggle").focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
}

function escape() {
  for (const menu of document.querySelectorAll(".menu[open]")) menu.open = false;
  if (document.activeElement === $("q")) $("q").blur();
}
