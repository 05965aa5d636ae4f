// Which fields are columns: chosen from the fields that the logs have, kept in the address.

import { fields } from "./api.js";
import { DEFAULT_COLUMNS, columns, setColumns } from "./state.js";
import { $, button, element, shortName, visible } from "./text.js";

let changed = () => {};
const TITLES = { "log.level": "Level", "service.name": "Service", message: "Message" };

export function startColumns(onChange, parameters) {
  changed = onChange;
  $("columns").addEventListener("toggle", () => $("columns").open && offer(parameters()));
}

export function addColumn(field) {
  const others = columns.filter((name) => name !== field && name !== "message");
  choose(columns.includes("message") ? [...others, field, "message"] : [...others, field]);
}

function choose(wanted) {
  setColumns(wanted);
  drawHead();
  changed();
}

export function drawHead() {
  const row = $("logs").tHead.rows[0];
  const [time] = row.cells;
  const cells = columns.map((field) => {
    const kind = { "log.level": "level", "service.name": "service", message: "message" }[field] ?? "value";
    const title = element("bdi", { title: visible(field) }, TITLES[field] ?? visible(shortName(field)));
    const cell = element("th", { scope: "col", className: kind }, title);
    if (columns.length > 1) {
      const label = visible(`Remove the column ${field}`);
      cell.append(button("×", { className: "close", title: label, ariaLabel: label }, () => choose(columns.filter((name) => name !== field))));
    }
    return cell;
  });
  row.replaceChildren(time, ...cells);
}

async function offer({ q, from, to }) {
  const box = $("columns-body");
  try {
    const answer = await fields({ q, from, to });
    const there = answer.fields.filter(({ name, present }) => present || columns.includes(name) || DEFAULT_COLUMNS.includes(name));
    there.sort((a, b) => b.present - a.present || (a.name < b.name ? -1 : 1));
    const boxes = there
      .filter(({ name }) => name !== "@timestamp")
      .map(({ name, present }) => {
        const input = element("input", { type: "checkbox", checked: columns.includes(name) });
        input.addEventListener("change", () => (input.checked ? addColumn(name) : choose(columns.filter((one) => one !== name))));
        const share = answer.sampled ? `${Math.round((present / answer.sampled) * 100)} %` : "";
        return element("label", {}, input, element("bdi", {}, visible(name)), element("span", { className: "quiet" }, share));
      });
    const note = element("p", { className: "quiet" }, `In the newest ${answer.sampled} of these logs:`);
    box.replaceChildren(note, ...boxes, button("Usual columns", { className: "link" }, () => choose(DEFAULT_COLUMNS)));
  } catch (problem) {
    box.replaceChildren(element("p", { className: "quiet" }, problem.detail ?? String(problem)));
  }
}
