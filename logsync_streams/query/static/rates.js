// The panel of error rates by service, from the process that counts them.

import { errorRates } from "./api.js";
import { condition, element, visible } from "./text.js";

const EVERY_MS = 5000;
const NAMES = { _unknown: "no service named", _other: "other services" };

export function startRates(narrow) {
  const body = document.getElementById("rates-body");
  const note = document.getElementById("rates-note");
  const update = async () => {
    if (!document.hidden) {
      try {
        const rates = await errorRates();
        // Right after a start the last hour is still being read.
        note.textContent = rates.complete === false ? "last 5 minutes, still counting" : "last 5 minutes";
        body.replaceChildren(table(rates, narrow));
      } catch (problem) {
        body.replaceChildren(element("p", { className: "quiet" }, problem.detail ?? String(problem)));
      }
    }
    setTimeout(update, EVERY_MS);
  };
  update();
}

function table(rates, narrow) {
  const services = rates.services ?? [];
  if (services.length === 0) {
    return element("p", { className: "quiet" }, "No log was counted in the last hour.");
  }
  const rows = services.map((service) => {
    const { events, errors, error_ratio: ratio } = service.windows["5m"];
    const name = NAMES[service.service];
    const label = name
      ? element("span", { className: "quiet" }, name)
      : element("button", { type: "button", title: "Only this service" }, element("bdi", {}, visible(service.service)));
    if (!name) label.addEventListener("click", () => narrow(condition("service", service.service)));
    const bar = element("div", { className: "bar" }, element("div"));
    bar.firstChild.style.width = `${Math.min(100, ratio * 100)}%`;
    const percent = events === 0 ? "–" : `${(ratio * 100).toFixed(ratio > 0 && ratio < 0.1 ? 1 : 0)} %`;
    return element(
      "tr",
      { className: errors ? "failing" : "" },
      element("th", { scope: "row" }, label, bar),
      element("td", {}, errors.toLocaleString("en")),
      element("td", {}, events.toLocaleString("en")),
      element("td", { className: "ratio" }, percent),
    );
  });
  const head = ["Service", "Errors", "Logs", "Rate"].map((text) => element("th", { scope: "col" }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}
