// The facets: the commonest values of some fields, to narrow the search by, or to leave out.

import { facets, fields, latest } from "./api.js";
import { remember, remembered } from "./state.js";
import { $, button, compact, condition, element, shortName, visible } from "./text.js";

const DEFAULT = ["log.level", "service.name", "host.name", "service.environment"];
const FEW = 6;
const MANY = 50;
const MOST = 12;

const ask = latest(facets);
let shown = remembered("facets", DEFAULT);
if (!Array.isArray(shown) || !shown.every((name) => typeof name === "string")) shown = DEFAULT;
const widened = new Set(); // fields of which many values are shown
let narrow = () => {};
let asked = {};

export function startFacets(act) {
  narrow = act;
  $("facet-field").addEventListener("change", ({ target }) => {
    if (target.value) show([...shown, target.value]);
    target.value = "";
  });
  $("facet-field").addEventListener("focus", offer);
}

function show(names) {
  shown = [...new Set(names)].slice(-MOST);
  remember("facets", shown);
  updateFacets(asked);
}

// parameters: of the search. Never throws: what is wrong with the query is said once, by the search.
export async function updateFacets(parameters) {
  asked = parameters;
  const { q, from, to } = parameters;
  const box = $("facets-body");
  if (!shown.length) return box.replaceChildren();
  try {
    const limit = widened.size ? MANY : FEW;
    const answer = await ask({ q, from, to, fields: shown.join(","), limit });
    return box.replaceChildren(...answer.facets.map(panel));
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (error.parameter === "fields") {
      shown = DEFAULT; // a field remembered from an older version
      return undefined;
    }
    return box.replaceChildren(element("p", { className: "quiet" }, "No counts: see the search."));
  }
}

function panel({ field, values, more, exact }) {
  const few = widened.has(field) ? values : values.slice(0, FEW);
  const most = Math.max(1, ...few.map(({ count }) => count));
  const head = element(
    "h3",
    {},
    element("bdi", { title: visible(field) }, visible(shortName(field))),
    exact ? "" : element("small", { title: "Very many values: counts may be too low" }, "about"),
    button("×", { className: "close", title: visible(`Hide ${field}`), ariaLabel: visible(`Hide ${field}`) }, () => show(shown.filter((name) => name !== field))),
  );
  const rows = few.map(({ value, count }) => row(field, value, count, most));
  const parts = [head, element("ul", {}, ...rows)];
  if (!few.length) parts.push(element("p", { className: "quiet" }, "in none of these logs"));
  if (more || values.length > few.length || widened.has(field)) {
    const wide = widened.has(field);
    const turn = button(wide ? "fewer" : "more", { className: "link" }, () => {
      if (wide) widened.delete(field);
      else widened.add(field);
      updateFacets(asked);
    });
    parts.push(turn);
  }
  return element("section", { className: "facet", "aria-label": visible(field) }, ...parts);
}

function row(field, value, count, most) {
  const made = condition(field, value);
  const bar = element("i", { className: field === "log.level" ? `bar-of ${value}` : "bar-of" });
  bar.style.width = `${(count / most) * 100}%`;
  const only = button(element("bdi", {}, visible(value) || "(empty)"), { className: "value", title: visible(`Only ${value}`) }, () => narrow(made));
  only.append(element("span", { className: "number" }, compact(count)), bar);
  const without = button("−", { className: "without", title: visible(`Without ${value}`), ariaLabel: visible(`Without ${value}`) }, () => narrow(`-${made}`));
  return element("li", {}, only, without);
}

async function offer() {
  const { q, from, to } = asked;
  try {
    const answer = await fields({ q, from, to });
    const names = answer.fields.filter(({ name, facet, present }) => facet && present && !shown.includes(name));
    names.sort((a, b) => b.present - a.present);
    const options = names.map(({ name }) => element("option", { value: name }, visible(name)));
    $("facet-field").replaceChildren(element("option", { value: "" }, "Add a field…"), ...options);
  } catch {
    return; // the search says what is wrong
  }
}
