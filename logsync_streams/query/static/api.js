// Requests to the query API. A failure is a Problem: what RFC 9457 says, or the same form for a server that is away.

export class Problem extends Error {
  constructor({ title, detail, status = 0, column = null, hint = null, parameter = null, retryAfter = null }) {
    super(detail);
    Object.assign(this, { title, detail, status, column, hint, parameter, retryAfter });
  }
}

async function get(path, parameters, signal) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  let response;
  try {
    response = await fetch(`${path}?${query}`, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The server cannot be reached",
      detail: "The query API does not answer: it is stopped, or the network is away.",
    });
  }
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

export const search = (parameters, signal) => get("api/logs/search", parameters, signal);
export const errorRates = () => get("api/error-rates", {});
