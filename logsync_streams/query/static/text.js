// Text of logs is hostile: everything here ends in textContent, never in markup.

// Control and direction characters would be invisible or reorder what is around them: show them by their number.
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

export function visible(text) {
  return text.replaceAll("\r\n", "\n").replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children); // strings become text nodes
  return made;
}

const two = (number) => String(number).padStart(2, "0");

// The reader's own time zone, to the millisecond; the date only where it is not today's.
export function localTime(iso) {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return { date: "", time: String(iso) };
  const date = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  const today = moment.toDateString() === new Date().toDateString();
  return { date: today ? "" : date, time: `${time}.${String(moment.getMilliseconds()).padStart(3, "0")}` };
}

// A value as the query language reads it back.
export const quoted = (value) => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

const PLAIN = /^[\p{L}\p{N}_.]+$/u;
const fieldName = (name) => Array.from(name, (c) => (PLAIN.test(c) || c === "@" ? c : `\\${c}`)).join("");

export function condition(field, value) {
  const operator = /^(AND|OR|NOT)$/.test(value);
  return `${fieldName(field)}:${PLAIN.test(value) && !operator ? value : quoted(value)}`;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
