// Completion in the search box: names of fields, and the values that a field has in the logs that are searched.

import { facets, fields, latest } from "./api.js";
import { $, compact, element, fieldName, valueText, visible } from "./text.js";

const input = $("q");
const list = $("completions");
const WAIT_MS = 120;
const MOST = 10;

const askValues = latest(facets);
let known = []; // the fields, from the last look
let range = () => ({});
let timer = 0;
let items = []; // {text, start, end}
let chosen = -1;

export function startCompletion(currentRange) {
  range = currentRange;
  input.setAttribute("role", "combobox");
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(complete, WAIT_MS);
  });
  input.addEventListener("keydown", onKey);
  input.addEventListener("blur", () => setTimeout(close, 150)); // after the click on an item
  input.addEventListener("focus", learn);
  close();
  if (document.activeElement === input) learn();
}

async function learn() {
  try {
    known = (await fields(range())).fields;
  } catch {
    return; // without names there is nothing to offer; the search says what is wrong
  }
}

// What stands before the caret: {start, name, value} of a field's beginning value, or {start, name} of a word.
function token() {
  const before = input.value.slice(0, input.selectionStart);
  if ((before.match(/"/g) ?? []).length % 2) return null; // within quotes
  const [word] = /[^\s()]*$/.exec(before);
  const text = word.replace(/^-/, "");
  const start = before.length - text.length;
  const colon = text.indexOf(":");
  return colon < 0 ? { start, name: text } : { start: start + colon + 1, name: text.slice(0, colon), value: text.slice(colon + 1) };
}

async function complete() {
  if (!known.length) await learn();
  const at = token();
  if (!at || document.activeElement !== input) return close();
  if (at.value === undefined) return at.name.length ? offer(namesLike(at)) : close();
  const field = resolve(at.name.replaceAll("\\", ""));
  if (!field?.facet || /^[<>[{(]|\*$/.test(at.value)) return close();
  try {
    const prefix = field.type === "keyword" ? at.value.replaceAll("\\", "") : "";
    const answer = await askValues({ ...range(), fields: field.name, prefix, limit: MOST });
    const end = input.selectionStart;
    const values = answer.facets[0].values.filter(({ value }) => value.startsWith(at.value));
    return offer(values.map(({ value, count }) => ({ label: value, note: compact(count), text: `${valueText(value)} `, start: at.start, end })));
  } catch {
    return close();
  }
}

const resolve = (name) => known.find((field) => field.name === name || field.aliases.includes(name)) ?? metadata(name);
const metadata = (name) => (/^(labels|metadata)\../.test(name) ? { name, type: "keyword", facet: true } : undefined);

function namesLike({ start, name }) {
  const end = input.selectionStart;
  const wanted = name.toLowerCase();
  const found = [];
  for (const field of known) {
    const names = [...field.aliases, field.name];
    const match = names.find((one) => one.toLowerCase().startsWith(wanted)) ?? (wanted.length > 2 && names.find((one) => one.toLowerCase().includes(wanted)));
    if (match) found.push({ field, match });
  }
  found.sort((a, b) => b.field.present - a.field.present || a.match.length - b.match.length);
  return found.slice(0, MOST).map(({ field, match }) => ({
    label: match,
    note: match === field.name ? field.type : field.name,
    text: `${fieldName(match)}:`,
    start,
    end,
  }));
}

function offer(found) {
  items = found;
  chosen = -1;
  list.hidden = !items.length;
  input.ariaExpanded = String(items.length > 0);
  list.replaceChildren(
    ...items.map(({ label, note }, index) => {
      const option = element("li", { role: "option", id: `completion-${index}` }, element("bdi", {}, visible(label)), element("span", { className: "quiet" }, visible(note)));
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(index);
      });
      return option;
    }),
  );
  mark();
}

function close() {
  offer([]);
}

function mark() {
  [...list.children].forEach((option, index) => (option.ariaSelected = String(index === chosen)));
  if (chosen >= 0) input.setAttribute("aria-activedescendant", `completion-${chosen}`);
  else input.removeAttribute("aria-activedescendant");
}

function take(index) {
  const { text, start, end } = items[index];
  const rest = input.value.slice(end);
  input.setRangeText(rest.startsWith(" ") ? text.trimEnd() : text, start, end, "end");
  close();
  input.focus();
  if (text.endsWith(":")) complete();
}

function onKey(event) {
  if (list.hidden) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const step = event.key === "ArrowDown" ? 1 : -1;
    chosen = chosen < 0 && step < 0 ? items.length - 1 : (chosen + step + items.length) % items.length;
    mark();
    event.preventDefault();
  } else if ((event.key === "Enter" && chosen >= 0) || (event.key === "Tab" && !event.shiftKey)) {
    take(Math.max(chosen, 0));
    event.preventDefault();
  } else if (event.key === "Escape") {
    close();
    event.preventDefault();
    event.stopPropagation();
  } else if (event.key === "Enter") {
    clearTimeout(timer);
    close();
  }
}
