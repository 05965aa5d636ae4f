// The page: what is asked stands in the URL, what is answered in the table, and a timer that brings what is new.

import { Problem, search } from "./api.js";
import { startRates } from "./rates.js";
import { logRow } from "./rows.js";
import { count, element } from "./text.js";

const LIVE_EVERY_MS = 2000;
const MOST_ROWS = 1000; // beyond these, live refresh begins again with the newest page
const DEFAULT_RANGE = "now-1h";

const $ = (id) => document.getElementById(id);
const form = $("search");
const table = $("logs");

let asked = null; // {q, from, to, sort}
let cursor = null;
let rows = new Map(); // id -> <tbody>
let running = null; // AbortController of the request under way
let timer = 0;

// ------------------------------------------------------------------------------------------------- the URL and the form

function readUrl() {
  const url = new URLSearchParams(location.search);
  const from = url.get("from") ?? DEFAULT_RANGE;
  const to = url.get("to") ?? "";
  $("q").value = url.get("q") ?? "";
  chooseRange(from, to);
  $("live").checked = url.get("live") !== "0";
  showSort(url.get("sort") === "asc" ? "asc" : "desc");
}

function chooseRange(from, to) {
  const select = $("range");
  select.querySelector("[data-custom]")?.remove();
  if (to || ![...select.options].some((option) => option.value === from)) {
    const label = to ? `${from || "the beginning"} – ${to}` : `Since ${from}`;
    const custom = element("option", { value: from }, label);
    custom.dataset.custom = to;
    select.prepend(custom);
    select.selectedIndex = 0;
  } else select.value = from;
}

function readForm() {
  const option = $("range").selectedOptions[0];
  return { q: $("q").value.trim(), from: option.value, to: option.dataset.custom ?? "", sort: $("sort").dataset.order };
}

function writeUrl({ q, from, to, sort }, push) {
  const url = new URLSearchParams();
  if (q) url.set("q", q);
  if (from !== DEFAULT_RANGE || to) url.set("from", from);
  if (to) url.set("to", to);
  if (sort === "asc") url.set("sort", sort);
  if (!$("live").checked) url.set("live", "0");
  const address = url.size ? `?${url}` : location.pathname;
  const changed = String(url) !== String(new URLSearchParams(location.search));
  history[push && changed ? "pushState" : "replaceState"](null, "", address);
  document.title = q ? `${q} · LogSync` : "LogSync";
}

function showSort(order) {
  $("sort").dataset.order = order;
  $("sort").querySelector("span").textContent = order === "asc" ? "↑" : "↓";
  $("sort").closest("th").ariaSort = order === "asc" ? "ascending" : "descending";
  $("live").disabled = order === "asc"; // new logs come last then: nothing to see at the top
}

// ------------------------------------------------------------------------------------------------------------- searching

async function ask(parameters) {
  running?.abort();
  const mine = (running = new AbortController());
  try {
    return await search(parameters, mine.signal);
  } finally {
    if (running === mine) running = null;
  }
}

async function searchNow({ push = true } = {}) {
  clearTimeout(timer);
  asked = readForm();
  writeUrl(asked, push);
  table.classList.add("waiting");
  try {
    replaceAll(await ask(asked));
    showProblem(null);
  } catch (error) {
    if (error.name === "AbortError") return; // a newer search took over
    clearRows();
    showProblem(error);
  }
  table.classList.remove("waiting");
  schedule();
}

async function refresh() {
  if (document.hidden || running) return schedule();
  try {
    merge(await ask(asked));
    showProblem(null);
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    showProblem(error);
  }
  return schedule();
}

function schedule() {
  clearTimeout(timer);
  const mistaken = !$("problem").hidden && $("problem").dataset.status === "400"; // asking again changes nothing
  if ($("live").checked && asked.sort === "desc" && !mistaken) timer = setTimeout(refresh, LIVE_EVERY_MS);
}

async function loadMore() {
  $("more").disabled = true;
  clearTimeout(timer); // a refresh must not abort this request
  try {
    const page = await ask({ ...asked, cursor });
    for (const hit of page.hits) if (!rows.has(hit.id)) table.append(rowOf(hit));
    cursor = page.cursor;
    showProblem(null);
    showSummary(page);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  }
  $("more").disabled = false;
  schedule();
}

// ------------------------------------------------------------------------------------------------------------ the answer

function rowOf(hit) {
  const row = logRow(hit, narrow);
  rows.set(hit.id, row);
  return row;
}

function clearRows() {
  for (const row of rows.values()) row.remove();
  rows = new Map();
  cursor = null;
  $("summary").textContent = "";
  $("empty").hidden = $("more").hidden = true;
}

function replaceAll(page) {
  clearRows();
  table.append(...page.hits.map(rowOf));
  cursor = page.cursor;
  showSummary(page);
}

// Put what is new in its place and leave the rest alone: what the reader has opened or selected stays so.
function merge(page) {
  const known = page.hits.some((hit) => rows.has(hit.id));
  if (!known || rows.size > MOST_ROWS) return replaceAll(page);
  let previous = table.tHead;
  for (const hit of page.hits) {
    let row = rows.get(hit.id);
    if (!row) {
      row = rowOf(hit);
      row.classList.add("new");
      previous.after(row);
    }
    previous = row;
  }
  return showSummary(page);
}

function showSummary(page) {
  const { value, relation } = page.total;
  const total = `${relation === "gte" ? "at least " : ""}${count(value, "log")}`;
  $("summary").textContent = value ? `${total} · ${rows.size.toLocaleString("en")} shown · ${page.took_ms} ms` : "";
  $("more").hidden = cursor === null;
  $("empty").hidden = rows.size > 0;
  table.hidden = rows.size === 0;
  if (rows.size === 0) $("empty").replaceChildren(...emptyState());
}

function emptyState() {
  const title = element("h2", {}, asked.q ? "No log matches" : "No log here yet");
  if (asked.from || asked.to) {
    const wider = element("button", { type: "button" }, "Search all time");
    wider.addEventListener("click", () => {
      chooseRange("", "");
      searchNow();
    });
    const label = $("range").selectedOptions[0].textContent.toLowerCase();
    return [title, element("p", {}, `Looked at: ${label}, by the time that a log itself carries.`), wider];
  }
  if (asked.q) {
    const advice = "Words are found whole: write time* for what starts so. Fields compare exactly, capitals included.";
    return [title, element("p", {}, advice)];
  }
  const example = `curl -d '{"service":"auth-service","level":"ERROR","message":"boom"}' http://127.0.0.1:8081/api/logs`;
  return [title, element("p", {}, "Send one to the collector:"), element("pre", {}, example)];
}

function showProblem(error) {
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
  const again = $("live").checked && asked.sort === "desc" && error.status !== 400;
  if (again) parts.push(element("p", { className: "hint" }, "Trying again every 2 seconds."));
  box.replaceChildren(...parts);
}

function narrow(condition) {
  const q = $("q").value.trim();
  // OR binds less tightly than the blank before what is added.
  $("q").value = !q ? condition : / OR /.test(q) ? `(${q}) ${condition}` : `${q} ${condition}`;
  scrollTo({ top: 0 });
  searchNow();
}

// ---------------------------------------------------------------------------------------------------------------- wiring

form.addEventListener("submit", (event) => {
  event.preventDefault();
  searchNow();
});
$("range").addEventListener("change", () => searchNow());
$("sort").addEventListener("click", () => {
  showSort($("sort").dataset.order === "asc" ? "desc" : "asc");
  searchNow();
});
$("live").addEventListener("change", () => {
  writeUrl(asked, false);
  schedule();
});
$("more").addEventListener("click", loadMore);
addEventListener("popstate", () => {
  readUrl();
  searchNow({ push: false });
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && asked && $("live").checked && asked.sort === "desc") refresh();
});
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    $("q").select();
  }
});

if (matchMedia("(max-width: 1000px)").matches) $("rates").open = false;
readUrl();
searchNow({ push: false });
startRates(narrow);
