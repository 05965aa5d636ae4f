// The panel of the retention: what the last run has left to be done, and the last runs. Asked for when it is opened.

import { retention } from "./api.js";
import { count, element, visible } from "./text.js";

const WORDS = { held: "held back", archive: "to be archived", wait: "archived, in its grace time", drop: "to be dropped" };
const MOST_KEPT = 5;

export function startRetention() {
  const panel = document.getElementById("retention");
  const body = document.getElementById("retention-body");
  panel.addEventListener("toggle", async () => {
    if (!panel.open) return;
    try {
      body.replaceChildren(...shown(await retention()));
    } catch (problem) {
      body.replaceChildren(quiet(problem.detail ?? String(problem)));
    }
  });
}

function shown({ plan, runs }) {
  if (!plan) return [quiet("The retention has not run yet: logsync retention plan says what it would do.")];
  const now = plan.days.filter((day) => day.action !== "keep");
  const kept = plan.days.filter((day) => day.action === "keep" && day.due_at).slice(0, MOST_KEPT);
  return [
    quiet(`As of the last run, ${time(plan.made_at)}`),
    now.length ? list(now, (day) => WORDS[day.action]) : quiet("Nothing is due."),
    ...(kept.length ? [element("h3", {}, "Next"), list(kept, (day) => `due ${time(day.due_at)}`)] : []),
    element("h3", {}, "Last runs"),
    element("ul", {}, ...runs.map(run)),
  ];
}

function list(days, word) {
  const rows = days.map((day) =>
    element(
      "li",
      { className: day.action === "held" ? "failing" : "", title: visible(day.reasons.join("\n")) },
      element("bdi", {}, visible(`${day.dataset} ${day.day}`)),
      quiet(`${word(day)} · ${day.documents.toLocaleString("en")} logs`),
      ...(day.action === "held" ? day.reasons.map((reason) => quiet(visible(reason))) : []),
    ),
  );
  return element("ul", {}, ...rows);
}

function run(one) {
  const done = [
    one.archived_documents && `${one.archived_documents.toLocaleString("en")} archived`,
    one.dropped_documents && `${one.dropped_documents.toLocaleString("en")} dropped`,
    one.held_days && `${count(one.held_days, "day")} held back`,
  ].filter(Boolean);
  const problems = [...one.problems, one.more_problems && `and ${one.more_problems} more`, one.unfinished].filter(Boolean);
  return element(
    "li",
    { className: one.problems.length ? "failing" : "" },
    time(one.begun_at),
    quiet(done.join(", ") || "nothing to do"),
    ...problems.map((problem) => quiet(visible(problem))),
  );
}

const time = (text) => `${text.slice(0, 16).replace("T", " ")} UTC`;
const quiet = (text) => element("p", { className: "quiet" }, text);
