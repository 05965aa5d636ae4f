// The context of a log, in a dialog: what the same service and host said before and after it.

import { context, latest } from "./api.js";
import { summary } from "./rows.js";
import { $, button, element, localTime, shortName, visible } from "./text.js";

const STEP = 10;
const MOST = 200;
const ask = latest(context);

export async function showContext(hit) {
  const dialog = $("context");
  const wanted = { before: STEP, after: STEP };
  const same = $("context-same");
  const load = async (keep) => {
    try {
      draw(await ask(hit.id, { ...wanted, same: same.value }), wanted, load, keep);
    } catch (error) {
      if (error.name === "AbortError") return;
      $("context-body").replaceChildren(element("p", { className: "quiet" }, error.detail ?? String(error)));
    }
  };
  same.onchange = () => load("center");
  if (!dialog.open) dialog.showModal();
  $("context-body").replaceChildren(element("p", { className: "quiet" }, "Looking…"));
  await load("center");
}

function draw({ before, log, after, same }, wanted, load, keep) {
  const body = $("context-body");
  const more = (side, found) => {
    if (found.length < wanted[side] || wanted[side] >= MOST) return [];
    return [
      button(side === "before" ? "Earlier" : "Later", { className: "more-context" }, () => {
        wanted[side] = Math.min(MOST, wanted[side] * 3);
        load(side);
      }),
    ];
  };
  const shared = Object.entries(same).map(([field, value]) => `${shortName(field)} ${value}`);
  $("context-note").textContent = visible(shared.length ? `Same ${shared.join(", ")}` : "Logs of everything");
  const lines = [...before.map((one) => line(one)), line(log, "this"), ...after.map((one) => line(one))];
  const height = body.scrollHeight;
  body.replaceChildren(...more("before", before), element("ol", {}, ...lines), ...more("after", after));
  if (keep === "center") body.querySelector(".this").scrollIntoView({ block: "center" });
  else if (keep === "before") body.scrollTop += body.scrollHeight - height; // what was read stays where it is
}

function line(hit, kind = "") {
  const { date, time } = localTime(hit["@timestamp"]);
  const level = String(hit.log?.level ?? "");
  return element(
    "li",
    { className: `${kind} ${/^[a-z]+$/.test(level) ? level : "other"}` },
    element("time", { title: hit["@timestamp"] ?? "" }, `${date} ${time}`.trim()),
    element("span", { className: "level" }, visible(level) || "–"),
    element("bdi", {}, visible(summary(hit))),
  );
}
