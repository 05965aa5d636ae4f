// Text of logs is hostile: everything here ends in textContent, never in markup.

// Control and direction characters would be invisible or reorder what is around them: show them by their number.
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

export function visible(text) {
  return text.replaceAll("\r\n", "\n").replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children); // strings become text nodes
  return made;
}

export function button(label, properties, act) {
  const made = element("button", { type: "button", ...properties }, label);
  made.addEventListener("click", act);
  return made;
}

// The text as nodes, with the ranges marked. Ranges count characters, strings count UTF-16 units.
export function marked(text, ranges) {
  if (!ranges?.length) return [visible(text)];
  const characters = Array.from(text);
  const nodes = [];
  let at = 0;
  for (const [start, end] of ranges) {
    nodes.push(visible(characters.slice(at, start).join("")));
    nodes.push(element("mark", {}, visible(characters.slice(start, end).join(""))));
    at = end;
  }
  nodes.push(visible(characters.slice(at).join("")));
  return nodes;
}

const two = (number) => String(number).padStart(2, "0");
const day = (moment) => `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
const clock = (moment) => `${two(moment.getHours())}:${two(moment.getMinutes())}`;

// The reader's own time zone, to the millisecond; the date only where it is not today's.
export function localTime(iso) {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return { date: "", time: String(iso) };
  const time = `${clock(moment)}:${two(moment.getSeconds())}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
  return { date: isToday(moment) ? "" : day(moment), time };
}

const isToday = (moment) => moment.toDateString() === new Date().toDateString();

// A moment on an axis or in a label, as exact as the step between two of them needs.
export function shortTime(ms, stepMs = 60_000) {
  const moment = new Date(ms);
  if (Number.isNaN(moment.getTime())) return String(ms);
  if (stepMs >= 86_400_000) return day(moment);
  const seconds = stepMs < 60_000 ? `:${two(moment.getSeconds())}` : "";
  const fraction = stepMs < 1000 ? `.${String(moment.getMilliseconds()).padStart(3, "0")}` : "";
  const date = isToday(moment) ? "" : `${day(moment).slice(moment.getFullYear() === new Date().getFullYear() ? 5 : 0)} `;
  return `${date}${clock(moment)}${seconds}${fraction}`;
}

// As <input type="datetime-local"> takes it.
export function inputTime(ms) {
  const moment = new Date(ms);
  return `${day(moment)}T${clock(moment)}:${two(moment.getSeconds())}`;
}

// A value as the query language reads it back.
export const quoted = (value) => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

const PLAIN = /^[\p{L}\p{N}_.]+$/u;
export const fieldName = (name) => Array.from(name, (c) => (PLAIN.test(c) || c === "@" ? c : `\\${c}`)).join("");
export const valueText = (value) => (PLAIN.test(value) && !/^(AND|OR|NOT)$/.test(value) ? value : quoted(value));

const SHORT = { "log.level": "level", "service.name": "service", "host.name": "host", "service.environment": "env" };
export const shortName = (field) => SHORT[field] ?? field;

export const condition = (field, value) => `${fieldName(field)}:${valueText(value)}`;

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function compact(number) {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(number);
}

// The value of a dotted field, as text; of a label also under its whole name.
export function valueOf(hit, field) {
  let node = hit;
  let rest = field;
  while (rest && node !== null && typeof node === "object") {
    if (Object.hasOwn(node, rest)) return asText(node[rest]);
    const [step] = rest.split(".", 1);
    if (!Object.hasOwn(node, step)) return "";
    node = node[step];
    rest = rest.slice(step.length + 1);
  }
  return rest ? "" : asText(node);
}

function asText(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(asText).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export async function copy(text, label) {
  await navigator.clipboard.writeText(text);
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => (label.textContent = before), 1500);
}
