// The context of a log, in a dialog: what the same service and host, its trace or everybody said before and after it.

import { context, latest } from "./api.js";
import { summary } from "./rows.js";
import { $, button, element, localTime, shortName, valueOf, visible } from "./text.js";

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
  const traced = same.querySelector("[value='trace.id']");
  traced.hidden = traced.disabled = !hit.trace?.id;
  if (traced.disabled && same.value === traced.value) same.selectedIndex = 0;
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
  // Who says it stands on each line unless all are of one.
  const who = ["service.name", "host.name"].filter((field) => !(field in same));
  const lines = [...before.map((one) => line(one, who)), line(log, who, "this"), ...after.map((one) => line(one, who))];
  const height = body.scrollHeight;
  body.replaceChildren(...more("before", before), element("ol", {}, ...lines), ...more("after", after));
  if (keep === "center") body.querySelector(".this").scrollIntoView({ block: "center" });
  else if (keep === "before") body.scrollTop += body.scrollHeight - height; // what was read stays where it is
}

function line(hit, who, kind = "") {
  const { date, time } = localTime(hit["@timestamp"]);
  const level = String(hit.log?.level ?? "");
  return element(
    "li",
    { className: `${kind} ${/^[a-z]+$/.test(level) ? level : "other"}` },
    element("time", { title: hit["@timestamp"] ?? "" }, `${date} ${time}`.trim()),
    element("span", { className: "level" }, visible(level) || "–"),
    element("span", { className: "said" }, ...who.map((field) => said(hit, field)), element("bdi", {}, visible(summary(hit)))),
  );
}

function said(hit, field) {
  const name = valueOf(hit, field);
  return name ? element("b", { title: shortName(field) }, visible(name), " ") : "";
}
