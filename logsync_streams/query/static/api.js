// Requests to the query API. A failure is a Problem: what RFC 9457 says, or the same form for a server that is away.

export class Problem extends Error {
  constructor({ title, detail, status = 0, column = null, hint = null, parameter = null, retryAfter = null }) {
    super(detail);
    Object.assign(this, { title, detail, status, column, hint, parameter, retryAfter });
  }
}

export function address(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return query.size ? `${path}?${query}` : path;
}

async function ask(path, parameters = {}, options = {}) {
  let response;
  try {
    response = await fetch(address(path, parameters), { ...options, headers: { Accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The server cannot be reached",
      detail: "The query API does not answer: it is stopped, or the network is away.",
    });
  }
  if (response.status === 204) return null;
  const isJson = /json/.test(response.headers.get("Content-Type") ?? "");
  const body = isJson ? await response.json() : {};
  if (response.ok && isJson) return body;
  throw new Problem({
    title: "The server answered with an error",
    detail: `${response.status} ${response.statusText}`,
    ...body,
    status: response.status,
    retryAfter: response.headers.get("Retry-After"),
  });
}

const reading = (path) => (parameters, signal) => ask(path, parameters, { signal });

export const search = reading("api/logs/search");
export const histogram = reading("api/logs/histogram");
export const facets = reading("api/logs/facets");
export const fields = reading("api/logs/fields");
export const context = (id, parameters, signal) =>
  ask(`api/logs/${encodeURIComponent(id)}/context`, parameters, { signal });
export const errorRates = () => ask("api/error-rates");
export const retention = () => ask("api/retention");

const saved = (name) => `api/saved-searches/${encodeURIComponent(name)}`;
export const savedSearches = () => ask("api/saved-searches");
export const deleteSearch = (name) => ask(saved(name), {}, { method: "DELETE" });
export const saveSearch = (name, search) =>
  ask(saved(name), {}, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(search) });

// One request at a time of its kind: a newer one takes over, and the older one's answer never comes.
export function latest(request) {
  let running = null;
  const made = async (...parameters) => {
    running?.abort();
    const mine = (running = new AbortController());
    try {
      return await request(...parameters, mine.signal);
    } finally {
      if (running === mine) running = null;
    }
  };
  made.isRunning = () => running !== null;
  return made;
}
