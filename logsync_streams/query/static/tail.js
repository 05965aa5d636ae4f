// Live: logs as they pass, before they are stored; where this server sees none pass, a search every two seconds.

import { address } from "./api.js";

const GIVE_UP_AFTER = 3; // connections that failed in a row

export class Tail {
  // received(log), skipped(what), failed(): when only searching again helps.
  constructor(received, skipped, failed) {
    Object.assign(this, { received, skipped, failed, source: null, failures: 0, last: "" });
  }

  get isOpen() {
    return this.source !== null;
  }

  open(q) {
    this.close();
    const source = new EventSource(address("api/logs/tail", { q, last_event_id: this.last }));
    this.source = source;
    source.addEventListener("open", () => (this.failures = 0));
    source.addEventListener("log", (event) => {
      this.last = event.lastEventId;
      this.received(JSON.parse(event.data));
    });
    source.addEventListener("skipped", (event) => this.skipped(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      this.failures += 1;
      // Closed: the server refused, and the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED || this.failures >= GIVE_UP_AFTER) {
        this.close();
        this.failed();
      }
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}
