// What is asked: the form, the address bar, and what the reader chose before, on this browser.

import { $, element, shortTime } from "./text.js";

export const DEFAULT_RANGE = "now-1h";
export const DEFAULT_COLUMNS = ["log.level", "service.name", "message"];
const CUSTOM = "custom";

export let columns = DEFAULT_COLUMNS;

export function setColumns(wanted) {
  columns = wanted.length ? [...new Set(wanted)] : DEFAULT_COLUMNS;
  remember("columns", columns);
}

// A browser may refuse to keep anything: then nothing is remembered.
export function remember(name, value) {
  try {
    localStorage.setItem(`logsync.${name}`, JSON.stringify(value));
  } catch {
    return;
  }
}

export function remembered(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`logsync.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function readUrl() {
  const url = new URLSearchParams(location.search);
  $("q").value = url.get("q") ?? "";
  chooseRange(url.get("from") ?? DEFAULT_RANGE, url.get("to") ?? "");
  $("live").checked = url.get("live") !== "0";
  showSort(url.get("sort") === "asc" ? "asc" : "desc");
  const named = url.get("columns")?.split(",").filter(Boolean);
  columns = named ?? remembered("columns", DEFAULT_COLUMNS);
  if (!Array.isArray(columns) || !columns.every((name) => typeof name === "string")) columns = DEFAULT_COLUMNS;
}

export function readForm() {
  const option = $("range").selectedOptions[0];
  return { q: $("q").value.trim(), from: option.value, to: option.dataset.to ?? "", sort: $("sort").dataset.order };
}

// The parts of the address; absolute: so that it leads to the same logs tomorrow.
export function parts({ q, from, to, sort }, absolute = false) {
  const url = new URLSearchParams();
  if (q) url.set("q", q);
  if (absolute) [from, to] = [moment(from), moment(to || "now")];
  if (from !== DEFAULT_RANGE || to) url.set("from", from);
  if (to) url.set("to", to);
  if (sort === "asc") url.set("sort", sort);
  if (String(columns) !== String(DEFAULT_COLUMNS)) url.set("columns", columns.join(","));
  if (absolute || !$("live").checked) url.set("live", "0");
  return url;
}

export function writeUrl(asked, push) {
  const url = parts(asked);
  const changed = String(url) !== String(new URLSearchParams(location.search));
  history[push && changed ? "pushState" : "replaceState"](null, "", url.size ? `?${url}` : location.pathname);
  document.title = asked.q ? `${asked.q} · LogSync` : "LogSync";
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

// Epoch milliseconds of a time as the API takes it; NaN for one that only the server can read.
export function timeOf(text) {
  const relative = /^now(?:-(\d+)([smhdw]))?$/.exec(text);
  if (relative) return Date.now() - (relative[1] ? relative[1] * UNITS[relative[2]] : 0);
  return /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
}

const moment = (text) => {
  const ms = text ? timeOf(text) : NaN;
  return Number.isNaN(ms) ? text : new Date(ms).toISOString();
};

export function chooseRange(from, to) {
  const select = $("range");
  select.querySelector("[data-chosen]")?.remove();
  if (to || ![...select.options].some((option) => option.value === from)) {
    const option = element("option", { value: from }, rangeLabel(from, to));
    option.dataset.chosen = "";
    option.dataset.to = to;
    select.prepend(option);
    select.selectedIndex = 0;
  } else select.value = from;
  select.dataset.before = select.selectedIndex;
}

function rangeLabel(from, to) {
  const [start, end] = [timeOf(from), timeOf(to)];
  const step = end - start < 120_000 ? (end - start < 2000 ? 1 : 1000) : 60_000;
  const shown = (text, ms) => (Number.isNaN(ms) || text.startsWith("now") ? text : shortTime(ms, step));
  return to ? `${from ? shown(from, start) : "the beginning"} – ${shown(to, end)}` : `Since ${shown(from, start)}`;
}

// True when the reader wants to name the two ends; the choice before is then in place again.
export function wantsCustom() {
  const select = $("range");
  if (select.value !== CUSTOM) {
    select.dataset.before = select.selectedIndex;
    return false;
  }
  select.selectedIndex = Number(select.dataset.before ?? 0);
  return true;
}

export function showSort(order) {
  $("sort").dataset.order = order;
  $("sort").querySelector("span").textContent = order === "asc" ? "↑" : "↓";
  $("sort").closest("th").ariaSort = order === "asc" ? "ascending" : "descending";
}

// New logs come at the top only: not when the oldest come first, nor into a range that has ended.
export const canBeLive = ({ sort, to }) => sort === "desc" && !to;
