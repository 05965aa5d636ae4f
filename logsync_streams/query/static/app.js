// The page: what is asked stands in the URL, what is answered in the table, and what is new comes by itself.

import { address, histogram, latest, search } from "./api.js";
import { addColumn, drawHead, startColumns } from "./columns.js";
import { startCompletion } from "./completion.js";
import { showContext } from "./context.js";
import { startFacets, updateFacets } from "./facets.js";
import { Histogram } from "./histogram.js";
import { startKeys } from "./keys.js";
import { startRates } from "./rates.js";
import * as results from "./results.js";
import { startRetention } from "./retention.js";
import { startSaved } from "./saved.js";
import { canBeLive, chooseRange, columns, readForm, readUrl, showSort, timeOf, wantsCustom, writeUrl } from "./state.js";
import { Tail } from "./tail.js";
import { $, count, inputTime } from "./text.js";
import { startTheme } from "./theme.js";

const LIVE_EVERY_MS = 2000;
const COUNT_EVERY_MS = 10_000;
const MOST_WAITING = 1000;
const PAGE = 50;

const table = $("logs");
const ask = latest(search);
const askHistogram = latest(histogram);

let asked = null; // {q, from, to, sort}
let timer = 0;
let countTimer = 0;
let paused = false;
let waiting = []; // logs of the tail that are not shown yet
let frame = 0;
let tailWorks = true; // until the server has said that it sees no logs pass

// ------------------------------------------------------------------------------------------------------------- searching

async function searchNow({ push = true } = {}) {
  stopLive();
  asked = readForm();
  writeUrl(asked, push);
  showControls();
  table.classList.add("waiting");
  updateCounts();
  try {
    const page = await ask({ ...asked, limit: PAGE });
    results.replaceAll(page);
    results.showProblem(null);
    results.showSummary(page.took_ms);
    results.showEmpty(asked, searchAllTime, searchAnything);
  } catch (error) {
    if (error.name === "AbortError") return; // a newer search took over
    results.clear();
    results.showProblem(error, asked, isLive());
  }
  table.classList.remove("waiting");
  startLive();
}

async function updateCounts() {
  clearTimeout(countTimer);
  const { q, from, to } = asked;
  updateFacets(asked);
  try {
    plot.show(await askHistogram({ q, from, to, split: "level", buckets: plot.buckets }));
    $("histogram").hidden = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    $("histogram").hidden = true; // the search says what is wrong
  }
  if (isLive()) countTimer = setTimeout(() => (document.hidden || paused ? scheduleCounts() : updateCounts()), COUNT_EVERY_MS);
}

const scheduleCounts = () => (countTimer = setTimeout(updateCounts, COUNT_EVERY_MS));

async function loadMore() {
  if (results.cursor === null) return;
  $("more").disabled = true;
  clearTimeout(timer); // a refresh must not abort this request
  try {
    const page = await ask({ ...asked, limit: PAGE * 2, cursor: results.cursor });
    results.append(page);
    results.showProblem(null);
    results.showSummary(page.took_ms);
  } catch (error) {
    if (error.name !== "AbortError") results.showProblem(error, asked, isLive());
  }
  $("more").disabled = false;
  if (!tail.isOpen) startLive();
}

function searchAllTime() {
  chooseRange("", "");
  searchNow();
}

function searchAnything() {
  $("q").value = "";
  searchNow();
}

function narrow(condition) {
  const q = $("q").value.trim();
  // OR binds less tightly than the blank before what is added.
  $("q").value = !q ? condition : / OR /.test(q) ? `(${q}) ${condition}` : `${q} ${condition}`;
  scrollTo({ top: 0 });
  searchNow();
}

function zoom(from, to) {
  chooseRange(new Date(from).toISOString(), new Date(to).toISOString());
  searchNow();
}

function zoomOut() {
  const { from, to } = plot.data ?? {};
  if (from === undefined) return;
  const more = Math.max(500, (to - from) / 2);
  if (to + more >= Date.now()) chooseRange(new Date(from - more * 2).toISOString(), "");
  else chooseRange(new Date(from - more).toISOString(), new Date(to + more).toISOString());
  searchNow();
}

// ------------------------------------------------------------------------------------------------------------------ live

const isLive = () => $("live").checked && canBeLive(asked);

const tail = new Tail(
  (log) => {
    waiting.push(log);
    if (waiting.length > MOST_WAITING) waiting.shift();
    if (!frame) frame = requestAnimationFrame(showWaiting);
  },
  ({ logs, at_least: atLeast, reason }) => {
    if (reason === "unknown") return void refresh(); // the search has what passed meanwhile
    $("skipped").textContent = `${atLeast ? "at least " : ""}${count(logs, "log")} came too quickly to be shown here`;
    $("skipped").hidden = logs === 0;
  },
  () => {
    tailWorks = false;
    startLive();
  },
);

// New logs would push away what is being read: below the top, they wait until they are asked for.
const holds = () => paused || scrollY > 200;

function showWaiting() {
  frame = 0;
  if (waiting.length && !holds()) {
    if (results.insertNew(waiting.splice(0))) {
      results.showSummary();
      results.showEmpty(asked, searchAllTime, searchAnything);
    }
  }
  $("arrived").hidden = !waiting.length;
  $("arrived").textContent = `${count(waiting.length, "new log")} ↑`;
}

function stopLive() {
  clearTimeout(timer);
  clearTimeout(countTimer);
  tail.close();
  tail.last = "";
  waiting = [];
  setPaused(false);
  $("arrived").hidden = $("skipped").hidden = true;
}

function startLive() {
  clearTimeout(timer);
  const mistaken = !$("problem").hidden && $("problem").dataset.status === "400"; // asking again changes nothing
  if (!isLive() || mistaken) return;
  const broken = !$("problem").hidden;
  if (tailWorks && !broken) {
    tail.open(asked.q);
    timer = setTimeout(refresh, LIVE_EVERY_MS); // what passed between the search and the tail
  } else timer = setTimeout(refresh, LIVE_EVERY_MS);
}

async function refresh() {
  if (!isLive()) return;
  if (document.hidden || ask.isRunning() || paused) return void again();
  const broken = !$("problem").hidden;
  try {
    const page = await ask({ ...asked, limit: PAGE });
    if (scrollY > 200 && results.size() > 0) return void again(); // nothing moves under the reader
    results.merge(page);
    results.showProblem(null);
    results.showSummary(page.took_ms);
    results.showEmpty(asked, searchAllTime, searchAnything);
    if (broken) {
      updateCounts();
      return void startLive();
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    results.showProblem(error, asked, isLive());
  }
  again();
}

function again() {
  clearTimeout(timer);
  if (!tail.isOpen) timer = setTimeout(refresh, LIVE_EVERY_MS);
}

function setPaused(wanted) {
  paused = wanted;
  $("pause").textContent = paused ? "▶ Go on" : "❚❚ Pause";
  $("pause").ariaPressed = String(paused);
  if (!paused) showWaiting();
}

// ---------------------------------------------------------------------------------------------------------------- wiring

function showControls() {
  $("live").disabled = !canBeLive(asked);
  $("pause").hidden = !isLive();
  const { q, from, to, sort } = asked;
  const fields = ["@timestamp", ...columns].join(",");
  $("export-ndjson").href = address("api/logs/export", { q, from, to, sort });
  $("export-csv").href = address("api/logs/export", { q, from, to, sort, format: "csv", fields });
}

function openCustom() {
  const { from, to } = readForm();
  const [start, end] = [timeOf(from), timeOf(to || "now")];
  $("custom-from").value = inputTime(Number.isNaN(start) ? Date.now() - 3_600_000 : start);
  $("custom-to").value = to && !Number.isNaN(end) ? inputTime(end) : "";
  $("custom").showModal();
}

function columnsChanged() {
  results.redraw();
  writeUrl(asked, false);
  showControls();
}

const actions = { narrow, addColumn, showContext };
const plot = new Histogram($("histogram"), zoom);
results.startResults(actions);
startTheme();
startFacets(narrow);
startColumns(columnsChanged, () => asked);
startCompletion(() => ({ from: readForm().from, to: readForm().to }));
startSaved(() => asked);
startKeys({ showContext, toggleLive: () => $("live").click(), togglePause: () => isLive() && setPaused(!paused) });

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  searchNow();
});
$("range").addEventListener("change", () => (wantsCustom() ? openCustom() : searchNow()));
$("custom").addEventListener("close", () => {
  if ($("custom").returnValue !== "ok" || !$("custom-from").value) return;
  const end = $("custom-to").value;
  chooseRange(new Date($("custom-from").value).toISOString(), end ? new Date(end).toISOString() : "");
  searchNow();
});
$("sort").addEventListener("click", () => {
  showSort($("sort").dataset.order === "asc" ? "desc" : "asc");
  searchNow();
});
$("live").addEventListener("change", () => {
  writeUrl(asked, false);
  stopLive();
  showControls();
  if (isLive()) {
    refresh();
    startLive();
    scheduleCounts();
  }
});
$("pause").addEventListener("click", () => setPaused(!paused));
$("arrived").addEventListener("click", () => {
  scrollTo({ top: 0 });
  setPaused(false);
});
addEventListener("scroll", () => waiting.length && !frame && (frame = requestAnimationFrame(showWaiting)), { passive: true });
$("more").addEventListener("click", loadMore);
$("zoom-out").addEventListener("click", zoomOut);
$("help-open").addEventListener("click", () => $("help").showModal());
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
}
for (const menu of document.querySelectorAll(".menu")) {
  document.addEventListener("click", (event) => !menu.contains(event.target) && (menu.open = false));
}
addEventListener("popstate", () => {
  readUrl();
  drawHead();
  searchNow({ push: false });
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && asked && isLive() && !tail.isOpen) refresh();
});

if (matchMedia("(max-width: 1000px)").matches) $("rates").open = $("facets").open = false;
readUrl();
drawHead();
searchNow({ push: false });
startRates(narrow);
startRetention();
