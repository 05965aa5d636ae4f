// What an opened row shows: every field with what one can do about it, the raw document, and where to go from here.

import { button, condition, copy, element, marked, visible } from "./text.js";

// Kept in the document but not indexed, or not of the document at all: no filter can be made of them.
const NOT_SEARCHABLE = /^(index|event\.original|@timestamp|log\.syslog\.structured_data(\..*)?)$/;
const WORDS = /^(message|error\.(message|stack_trace))$/;
const LONGEST_FILTER = 256;

// act: {narrow(condition), addColumn(field), showContext(hit)}.
export function details(hit, ranges, act) {
  const fields = fieldList(hit, ranges, act);
  const raw = element("pre", { className: "raw", hidden: true });
  const showRaw = button("Raw", { ariaPressed: "false" }, () => {
    raw.hidden = !raw.hidden;
    fields.hidden = !raw.hidden;
    showRaw.ariaPressed = String(!raw.hidden);
    if (!raw.textContent) raw.textContent = visible(JSON.stringify(hit, null, 2));
  });
  const link = new URLSearchParams({ q: `id:${hit.id}`, from: "" });
  const tools = element(
    "p",
    { className: "tools" },
    button("Show context", {}, () => act.showContext(hit)),
    showRaw,
    element("a", { href: `?${link}` }, "Link to this log"),
  );
  if (navigator.clipboard) {
    const copying = button("Copy as JSON", {}, () => copy(JSON.stringify(hit, null, 2), copying));
    tools.append(copying);
  }
  return [tools, fields, raw];
}

function fieldList(hit, ranges, act) {
  const list = element("dl", { className: "fields" });
  for (const [name, value] of flat(hit)) {
    const description = element("dd", {}, element("bdi", {}, ...marked(value, ranges[name])));
    const tools = element("span", { className: "tools-of" });
    if (!NOT_SEARCHABLE.test(name) && value.trim() !== "" && value.length <= LONGEST_FILTER) {
      const made = condition(name, value);
      tools.append(
        tool("only", `Only logs with ${name} like this`, () => act.narrow(made)),
        tool("without", `Only logs without this ${name}`, () => act.narrow(`-${made}`)),
      );
    }
    if (!WORDS.test(name)) tools.append(tool("column", `Show ${name} as a column`, () => act.addColumn(name)));
    description.append(tools);
    list.append(element("dt", {}, element("bdi", {}, visible(name))), description);
  }
  return list;
}

const tool = (label, title, act) => button(label, { className: "filter", title: visible(title) }, act);

// [dotted name, text] of every value, message first; a list gives one entry for each of its elements.
function flat(hit) {
  const found = [];
  const walk = (name, value) => {
    if (Array.isArray(value)) value.forEach((item) => walk(name, item));
    else if (value !== null && typeof value === "object") {
      for (const [key, inner] of Object.entries(value)) walk(name ? `${name}.${key}` : key, inner);
    } else found.push([name, String(value)]);
  };
  const { id: _, highlights: __, ...document } = hit; // the id is event.id once more
  walk("", document);
  const rank = ([name]) => (name === "message" ? 0 : name.startsWith("error.") ? 1 : name === "event.original" ? 3 : 2);
  return found.sort((a, b) => rank(a) - rank(b) || (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}
