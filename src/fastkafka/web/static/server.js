// Questions to the server. Every address is relative: the page may be mounted anywhere.

export class ServerError extends Error {
  constructor(status, body) {
    super(body.error || `The server answered ${status}.`);
    this.status = status;
    this.fields = body.fields || [];
  }
}

async function answer(response) {
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ServerError(response.status, body);
  return body;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new ServerError(0, { error: "The server does not answer. Does it still run?" });
  }
  return answer(response);
}

export const get = (path) => ask(path);

export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-FastKafka": "1" },
    body: JSON.stringify(body),
  });

export const remove = (path) =>
  ask(path, { method: "DELETE", headers: { "X-FastKafka": "1" } });

/** A path below `api/` with its query; what is empty is left out. */
export function address(parts, query = {}) {
  const path = parts.map((part) => encodeURIComponent(part)).join("/");
  const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
