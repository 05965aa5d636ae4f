// One log as a <tbody>: a row to scan, and below it, once opened, every field of the stored document.

import { condition, element, localTime, visible } from "./text.js";

const LEVELS = new Set(["trace", "debug", "info", "notice", "warn", "error", "critical", "fatal"]);
// Kept in the document but not indexed, or not of the document at all: no filter can be made of them.
const NOT_SEARCHABLE = /^(index|event\.original|@timestamp|log\.syslog\.structured_data(\..*)?)$/;
const LONGEST_FILTER = 256;

// narrow(condition) is called when the reader asks for a value only, or for all but it.
export function logRow(hit, narrow) {
  const level = hit.log?.level ?? "";
  const body = element("tbody", { className: `log ${LEVELS.has(level) ? level : "other"}` });
  const { date, time } = localTime(hit["@timestamp"]);
  const toggle = element("button", { type: "button", className: "toggle", ariaExpanded: "false" });
  toggle.setAttribute("aria-label", "Show all fields");
  const when = element("time", { dateTime: hit["@timestamp"] ?? "", title: hit["@timestamp"] ?? "" });
  if (date) when.append(element("span", { className: "date" }, date), " ");
  when.append(time);
  const row = element(
    "tr",
    { className: "line" },
    element("td", { className: "time" }, toggle, when),
    element("td", { className: "level" }, element("span", {}, visible(String(level)) || "–")),
    element("td", { className: "service" }, element("bdi", {}, visible(String(hit.service?.name ?? "")) || "–")),
    element("td", { className: "message" }, element("bdi", {}, visible(summary(hit)))),
  );
  row.addEventListener("click", (event) => {
    const selecting = String(getSelection()) && event.target.closest("button") === null;
    if (!selecting) setOpen(body, toggle, hit, narrow, toggle.ariaExpanded !== "true");
  });
  body.append(row);
  return body;
}

function summary(hit) {
  const text = hit.message ?? hit.error?.message ?? hit.event?.original ?? "";
  return (Array.isArray(text) ? text.join(" ") : String(text)).trimEnd();
}

function setOpen(body, toggle, hit, narrow, open) {
  toggle.ariaExpanded = String(open);
  body.classList.toggle("open", open);
  if (open && body.rows.length === 1) body.append(details(hit, narrow)); // made when first looked at
  if (body.rows.length > 1) body.rows[1].hidden = !open;
}

function details(hit, narrow) {
  const fields = element("dl", { className: "fields" });
  for (const [name, value] of flat(hit)) {
    const term = element("dt", {}, element("bdi", {}, visible(name)));
    const text = element("bdi", {}, visible(value));
    const description = element("dd", {}, text);
    if (!NOT_SEARCHABLE.test(name) && value !== "" && value.length <= LONGEST_FILTER) {
      const made = condition(name, value);
      description.append(
        filter("only", `Only logs with ${name} like this`, () => narrow(made)),
        filter("without", `Only logs without this ${name}`, () => narrow(`-${made}`)),
      );
    }
    fields.append(term, description);
  }
  const link = new URLSearchParams({ q: `id:${hit.id}`, from: "" });
  const tools = element("p", { className: "tools" }, element("a", { href: `?${link}` }, "Link to this log"));
  if (navigator.clipboard) {
    const copy = element("button", { type: "button" }, "Copy as JSON");
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(JSON.stringify(hit, null, 2));
      copy.textContent = "Copied";
    });
    tools.append(copy);
  }
  return element("tr", { className: "details" }, element("td", { colSpan: 4 }, fields, tools));
}

function filter(label, title, act) {
  const button = element("button", { type: "button", className: "filter", title: visible(title) }, label);
  button.addEventListener("click", act);
  return button;
}

// [dotted name, text] of every value, message first; a list gives one entry for each of its elements.
function flat(hit) {
  const found = [];
  const walk = (name, value) => {
    if (Array.isArray(value)) value.forEach((item) => walk(name, item));
    else if (value !== null && typeof value === "object") {
      for (const [key, inner] of Object.entries(value)) walk(name ? `${name}.${key}` : key, inner);
    } else found.push([name, String(value)]);
  };
  const { id: _, ...document } = hit; // it is event.id once more
  walk("", document);
  const rank = ([name]) => (name === "message" ? 0 : name.startsWith("error.") ? 1 : name === "event.original" ? 3 : 2);
  return found.sort((a, b) => rank(a) - rank(b) || (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}
