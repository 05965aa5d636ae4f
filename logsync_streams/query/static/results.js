// The table of logs: what came, what is new, and what to say when there is nothing or something is wrong.

import { Problem } from "./api.js";
import { fill, logRow } from "./rows.js";
import { $, button, count, element } from "./text.js";

const MOST_ROWS = 1000; // while logs arrive by themselves; the oldest shown are let go
const table = $("logs");

let rows = new Map(); // id -> <tbody>
let act = {};
let total = null; // {value, relation} of the last search, and what came since
export let cursor = null;

export function startResults(actions) {
  act = actions;
}

export const has = (id) => rows.has(id);
export const size = () => rows.size;

function rowOf(hit, ranges) {
  const row = logRow(hit, ranges, act);
  rows.set(hit.id, row);
  return row;
}

export function clear() {
  for (const row of rows.values()) row.remove();
  rows = new Map();
  cursor = total = null;
  $("summary").textContent = "";
  $("empty").hidden = $("more").hidden = true;
}

export function replaceAll(page) {
  clear();
  table.append(...page.hits.map((hit) => rowOf(hit, page.highlights?.[hit.id])));
  ({ cursor, total } = page);
}

export function append(page) {
  const fresh = page.hits.filter((hit) => !rows.has(hit.id));
  table.append(...fresh.map((hit) => rowOf(hit, page.highlights?.[hit.id])));
  ({ cursor, total } = page);
}

// Put what is new in its place and leave the rest alone: what the reader has opened or selected stays so.
export function merge(page) {
  const known = page.hits.some((hit) => rows.has(hit.id));
  if (!known) return replaceAll(page);
  const found = page.hits.filter((hit) => !rows.has(hit.id));
  for (const hit of found) insert(hit, page.highlights?.[hit.id]);
  ({ total } = page);
  return trim();
}

// Logs of the live tail, oldest first; true when there was any that was not shown yet.
export function insertNew(logs) {
  const fresh = logs.filter((log) => !rows.has(log.id));
  for (const { highlights, ...hit } of fresh) insert(hit, highlights);
  if (total) total = { ...total, value: total.value + fresh.length };
  trim();
  return fresh.length > 0;
}

function insert(hit, ranges) {
  const row = rowOf(hit, ranges);
  row.classList.add("new");
  let before = table.tBodies[0];
  while (before && isNewer(before.hit, hit)) before = before.nextElementSibling;
  table.insertBefore(row, before ?? null);
}

function isNewer(one, other) {
  const [a, b] = [one["@timestamp"] ?? "", other["@timestamp"] ?? ""];
  return a === b ? one.id > other.id : a > b;
}

function trim() {
  while (rows.size > MOST_ROWS) {
    const last = table.tBodies[table.tBodies.length - 1];
    if (last.classList.contains("open")) return; // somebody reads it
    rows.delete(last.hit.id);
    last.remove();
    cursor = null; // it leads on from a row that is gone
  }
}

export function redraw() {
  for (const row of rows.values()) fill(row);
}

// ------------------------------------------------------------------------------------------------- what is said of it

export function showSummary(tookMs = null) {
  if (!total) return;
  const { value, relation } = total;
  const shown = Math.max(value, rows.size);
  const text = `${relation === "gte" ? "at least " : ""}${count(shown, "log")}`;
  const parts = [element("strong", {}, text), ` · ${rows.size.toLocaleString("en")} shown`];
  if (tookMs !== null) parts.push(` · ${tookMs} ms`);
  $("summary").replaceChildren(...(shown ? parts : []));
  $("more").hidden = cursor === null;
}

export function showEmpty(asked, searchAllTime, searchAnything) {
  $("empty").hidden = rows.size > 0;
  table.hidden = rows.size === 0;
  if (rows.size > 0) return;
  const title = element("h2", {}, asked.q ? "No log matches" : "No log here yet");
  const advice = "Words are found whole: write time* for what starts so. Fields compare exactly, capitals included.";
  const hint = asked.q ? [element("p", {}, advice)] : [];
  const others = asked.q ? [button("Leave the query out", {}, searchAnything)] : [];
  if (asked.from || asked.to) {
    const label = $("range").selectedOptions[0].textContent.toLowerCase();
    const looked = element("p", {}, `Looked at: ${label}, by the time that a log itself carries.`);
    others.unshift(button("Search all time", {}, searchAllTime));
    $("empty").replaceChildren(title, looked, ...hint, element("p", { className: "actions" }, ...others));
  } else if (asked.q) {
    $("empty").replaceChildren(title, ...hint, element("p", { className: "actions" }, ...others));
  } else {
    const example = `curl -d '{"service":"auth-service","level":"ERROR","message":"boom"}' http://127.0.0.1:8081/api/logs`;
    $("empty").replaceChildren(title, element("p", {}, "Send one to the collector:"), element("pre", {}, example));
  }
}

export function showProblem(error, asked, triesAgain) {
  const box = $("problem");
  box.hidden = error === null;
  $("q").ariaInvalid = String(error?.status === 400);
  if (error === null) return;
  if (!(error instanceof Problem)) throw error;
  table.hidden = rows.size === 0;
  box.dataset.status = String(error.status);
  const parts = [element("h2", {}, error.title), element("p", {}, error.detail)];
  if (error.column) {
    const characters = Array.from(asked.q); // columns count characters, strings count UTF-16 units
    const at = error.column - 1;
    const marked = element("mark", {}, characters[at] ?? " ");
    const line = [characters.slice(0, at).join(""), marked, characters.slice(at + 1).join("")];
    parts.splice(1, 0, element("pre", { ariaLabel: `column ${error.column}` }, ...line));
  }
  if (error.hint) parts.push(element("p", { className: "hint" }, error.hint));
  if (triesAgain && error.status !== 400) parts.push(element("p", { className: "hint" }, "Trying again every 2 seconds."));
  box.replaceChildren(...parts);
}
