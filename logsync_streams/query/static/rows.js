// One log as a <tbody>: a row to scan, and below it, once opened, every field of the stored document.

import { details } from "./details.js";
import { columns } from "./state.js";
import { button, element, localTime, marked, shortName, valueOf, visible } from "./text.js";

const LEVELS = new Set(["trace", "debug", "info", "notice", "warn", "error", "critical", "fatal"]);
const CLASSES = { "log.level": "level", "service.name": "service", message: "message" };
const LONGEST_CELL = 2000;

// ranges: field -> where the query's words are. act: what the details' buttons do.
export function logRow(hit, ranges, act) {
  const level = hit.log?.level ?? "";
  const body = element("tbody", { className: `log ${LEVELS.has(level) ? level : "other"}` });
  body.hit = hit;
  body.ranges = ranges ?? {};
  body.act = act;
  const line = element("tr", { className: "line" });
  line.addEventListener("click", (event) => {
    const selecting = String(getSelection()) && event.target.closest("button") === null;
    if (!selecting) toggle(body);
  });
  body.append(line);
  fill(body);
  return body;
}

// Draw the cells anew, for other columns.
export function fill(body) {
  const { hit, ranges } = body;
  const { date, time } = localTime(hit["@timestamp"]);
  const when = element("time", { dateTime: hit["@timestamp"] ?? "", title: hit["@timestamp"] ?? "" });
  if (date) when.append(element("span", { className: "date" }, date), " ");
  when.append(time);
  const opener = button("", { className: "toggle", ariaExpanded: String(body.classList.contains("open")) }, () => {});
  opener.setAttribute("aria-label", "Show all fields");
  const cells = columns.map((field) => cell(hit, field, ranges));
  body.rows[0].replaceChildren(element("td", { className: "time" }, opener, when), ...cells);
  const opened = body.rows[1];
  if (opened) opened.cells[0].colSpan = columns.length + 1;
}

function cell(hit, field, ranges) {
  const text = field === "message" ? summary(hit) : valueOf(hit, field);
  const shown = text.length > LONGEST_CELL ? `${text.slice(0, LONGEST_CELL)}…` : text;
  const where = field === "message" && hit.message === undefined ? [] : ranges[field];
  const kind = CLASSES[field] ?? "value";
  // A level has its colour already.
  const nodes = kind === "level" ? marked(shown) : marked(shown, where);
  const inside = element(kind === "level" ? "span" : "bdi", {}, ...(shown ? nodes : ["–"]));
  const made = element("td", { className: kind }, inside);
  if (kind === "value" || kind === "service") made.title = visible(shown);
  if (kind === "value") made.dataset.label = shortName(field);
  return made;
}

export function summary(hit) {
  const text = hit.message ?? hit.error?.message ?? hit.event?.original ?? "";
  return (Array.isArray(text) ? text.join(" ") : String(text)).trimEnd();
}

export function toggle(body, open = !body.classList.contains("open")) {
  body.rows[0].querySelector(".toggle").ariaExpanded = String(open);
  body.classList.toggle("open", open);
  if (open && body.rows.length === 1) {
    // Made when first looked at.
    const inside = element("td", { colSpan: columns.length + 1 }, ...details(body.hit, body.ranges, body.act));
    body.append(element("tr", { className: "details" }, inside));
  }
  if (body.rows.length > 1) body.rows[1].hidden = !open;
}
