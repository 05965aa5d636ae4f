// The histogram: bars stacked by level, times to drag over. Plain SVG; a library would be larger than this.

import { compact, count, element, shortTime } from "./text.js";

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 96;
const FOOT = 18;
const HEAD = 15; // room for the number of the highest bar
// From the bottom up: what is worst stands on the ground, where its size can be compared.
const ORDER = ["fatal", "critical", "error", "warn", "notice", "info", "debug", "trace"];
const TICK_EVERY_PX = 110;
const TICKS_MS = [1, 5, 10, 50, 100, 500]
  .concat([1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1000))
  .concat([1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * 60_000))
  .concat([1, 2, 7, 14, 28, 84, 364].map((days) => days * 86_400_000));

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export class Histogram {
  // zoom(from, to): epoch ms, when the reader has dragged over a part.
  constructor(box, zoom) {
    this.box = box;
    this.plot = box.querySelector(".plot");
    this.tip = box.querySelector(".tip");
    this.zoom = zoom;
    this.data = null;
    this.dragging = null;
    this.plot.addEventListener("pointerdown", (event) => this.press(event));
    this.plot.addEventListener("pointermove", (event) => this.move(event));
    this.plot.addEventListener("pointerup", (event) => this.release(event));
    this.plot.addEventListener("pointercancel", () => this.cancel());
    this.plot.addEventListener("pointerleave", () => (this.tip.hidden = true));
    addEventListener("keydown", (event) => event.key === "Escape" && this.cancel());
    new ResizeObserver(() => this.data && this.draw()).observe(this.plot);
  }

  get buckets() {
    const width = this.plot.clientWidth || this.box.parentElement.clientWidth; // it may not be shown yet
    return Math.max(20, Math.min(120, Math.floor(width / 9)));
  }

  show(data) {
    this.data = data;
    this.box.classList.toggle("blank", data.total === 0);
    this.draw();
  }

  draw() {
    if (this.dragging) return;
    const { buckets, from, to, interval_ms: interval, total } = this.data;
    const width = this.plot.clientWidth;
    if (!width || !buckets.length) return this.plot.replaceChildren();
    this.start = buckets[0].start;
    this.end = Math.max(buckets.at(-1).start + interval, to);
    this.width = width;
    const highest = Math.max(1, ...buckets.map((bucket) => bucket.count));
    const scale = (HEIGHT - FOOT - HEAD) / highest;
    const step = width / buckets.length;
    const gap = step > 4 ? 1.5 : step > 2 ? 0.5 : 0;
    const bars = buckets.map((bucket, index) => this.bar(bucket, index * step, Math.max(0.5, step - gap), scale));
    const label = `${count(total, "log")} from ${shortTime(from)} to ${shortTime(to)}, at most ${count(highest, "log")} in one bar`;
    this.selection = svg("rect", { class: "selection", y: 0, height: HEIGHT - FOOT, width: 0, visibility: "hidden" });
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label });
    const ground = svg("line", { class: "ground", x1: 0, x2: width, y1: HEIGHT - FOOT + 0.5, y2: HEIGHT - FOOT + 0.5 });
    drawing.append(...bars.flat(), ground, ...this.ticks(step), this.selection);
    if (total) drawing.append(svg("text", { class: "highest", x: width - 2, y: 11, "text-anchor": "end" }, compact(highest)));
    this.plot.replaceChildren(drawing);
    return undefined;
  }

  bar(bucket, x, width, scale) {
    const values = this.data.split?.values ?? [];
    const levels = values.map((level, index) => [level, bucket.split?.[index] ?? 0]);
    levels.sort(([a], [b]) => place(a) - place(b));
    const rest = bucket.count - levels.reduce((sum, [, number]) => sum + number, 0);
    let y = HEIGHT - FOOT;
    return [...levels, ["other", Math.max(0, rest)]]
      .filter(([, number]) => number > 0)
      .map(([level, number]) => {
        const height = Math.max(number * scale, 1);
        y -= height;
        return svg("rect", { class: `part ${ORDER.includes(level) ? level : "other"}`, x, y, width, height });
      });
  }

  ticks(step) {
    const { buckets, interval_ms: interval } = this.data;
    const least = Math.ceil(TICK_EVERY_PX / step) * interval;
    const every = TICKS_MS.find((tick) => tick >= least && tick % interval === 0) ?? least;
    const zone = new Date(buckets[0].start).getTimezoneOffset() * 60_000;
    const made = [];
    for (let index = 0; index < buckets.length; index += 1) {
      const x = index * step;
      if (x > this.width - 60) break;
      if ((((buckets[index].start - zone) % every) + every) % every >= interval) continue; // round where the reader lives
      made.push(svg("line", { class: "ground", x1: x + 0.5, x2: x + 0.5, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT + 4 }));
      made.push(svg("text", { x: x + 3, y: HEIGHT - 4 }, shortTime(buckets[index].start, every)));
    }
    return made;
  }

  // ----------------------------------------------------------------------------------------------------------- dragging

  place(event) {
    const { left } = this.plot.getBoundingClientRect();
    return Math.max(0, Math.min(this.width, event.clientX - left));
  }

  timeAt(x) {
    return Math.round(this.start + (x / this.width) * (this.end - this.start));
  }

  press(event) {
    if (event.button !== 0 || !this.selection) return;
    this.dragging = { from: this.place(event), to: this.place(event) };
    this.plot.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  move(event) {
    if (!this.selection) return;
    if (this.dragging) {
      this.dragging.to = this.place(event);
      const [left, right] = this.ends();
      this.selection.setAttribute("x", left);
      this.selection.setAttribute("width", right - left);
      this.selection.setAttribute("visibility", "visible");
    }
    this.hint(event);
  }

  ends() {
    const { from, to } = this.dragging;
    return from < to ? [from, to] : [to, from];
  }

  release() {
    if (!this.dragging) return;
    const [left, right] = this.ends();
    const { interval_ms: interval, buckets } = this.data;
    const step = this.width / buckets.length;
    this.cancel();
    if (right - left < 4) {
      // A click means the one bar.
      const { start } = buckets[Math.min(buckets.length - 1, Math.floor(left / step))];
      this.zoom(start, start + interval);
    } else this.zoom(this.timeAt(left), Math.max(this.timeAt(right), this.timeAt(left) + 1));
  }

  cancel() {
    this.dragging = null;
    this.selection?.setAttribute("visibility", "hidden");
  }

  hint(event) {
    const { buckets, interval_ms: interval, split } = this.data;
    const x = this.place(event);
    const bucket = buckets[Math.min(buckets.length - 1, Math.floor((x / this.width) * buckets.length))];
    const lines = [element("strong", {}, count(bucket.count, "log")), ` ${shortTime(bucket.start, interval)}`];
    if (this.dragging) {
      const [left, right] = this.ends();
      const step = Math.min(interval, 60_000);
      lines.splice(0, 2, `${shortTime(this.timeAt(left), step)} – ${shortTime(this.timeAt(right), step)}`);
    } else {
      (split?.values ?? []).forEach((level, index) => {
        if (bucket.split[index]) lines.push(element("span", { className: level }, `${level} ${bucket.split[index].toLocaleString("en")}`));
      });
    }
    this.tip.replaceChildren(...lines);
    this.tip.hidden = false;
    this.tip.style.left = `${Math.max(4, Math.min(x + 12, this.width - this.tip.offsetWidth - 4))}px`;
  }
}

const place = (level) => (ORDER.includes(level) ? ORDER.indexOf(level) : ORDER.length);
