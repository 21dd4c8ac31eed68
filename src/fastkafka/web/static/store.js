// What the page knows: the app, the last tick, what was, and where we are.

import { computed, effect, signal } from "@preact/signals";
import { address, get, post } from "./server.js";

/** What `api/app` says; null before the first answer. */
export const app = signal(null);

/** The tick that is shown; it stands still while the page is paused. */
export const tick = signal(null);

/** "connecting", "open", "polling" (too many tabs) or "lost". */
export const connection = signal("connecting");

export const live = signal(true);

/** Why nothing can be shown: a ServerError. */
export const refused = signal(null);

/** What has happened since the page is open, newest first. */
export const events = signal([]);

/** The topic whose records are wanted: {topic, partition, find}, or null. */
export const watching = signal(null);

/** Why no records come, in the server's words. */
export const trouble = signal(null);

// Where we are: #/topics/orders?find=paid

const parse = () => {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [screen, ...rest] = path.split("/");
  return {
    screen: screen || "overview",
    name: rest.map(decodeURIComponent).join("/"),
    query: Object.fromEntries(new URLSearchParams(query || "")),
  };
};

export const place = signal(parse());
addEventListener("hashchange", () => {
  if (!takeToken()) place.value = parse();
});

/** The fragment of a screen, for links. */
export const link = (screen, name = "", query = {}) =>
  `#/${address(name ? [screen, name] : [screen], query)}`;

/** Change what the fragment says of the screen, without another step in the history. */
export function remember(changes) {
  const { screen, name, query } = place.value;
  const fragment = link(screen, name, { ...query, ...changes });
  history.replaceState(null, "", fragment);
  place.value = parse();
}

// Numbers by name.

const named = (list, rows, names) => {
  const found = new Map();
  list.forEach((item, index) => {
    const row = rows[index] || [];
    found.set(item.name, Object.fromEntries(names.map((name, i) => [name, row[i]])));
  });
  return found;
};

const TOPIC = ["rate", "lag", "age", "parked"];
const FUNCTION = [
  ..."rate p50 p95 p99 busy retried failed mean capacity waiting".split(" "),
];

/** The tick's numbers by the names of topics and functions. */
export const numbers = computed(() => {
  const shape = app.value;
  const now = tick.value;
  if (!shape || !now || now.rev !== shape.rev) return known;
  known = {
    topics: named(shape.topics, now.topics, TOPIC),
    functions: named(shape.functions, now.functions, FUNCTION),
    producers: new Map(shape.producers.map((p, i) => [p.name, now.producers[i]])),
    edges: now.edges,
    totals: now.totals,
    attention: now.attention,
  };
  return known;
});
let known = {
  topics: new Map(),
  functions: new Map(),
  producers: new Map(),
  edges: [],
  totals: null,
  attention: [],
};

// What was.

const LONGEST = 900;
let columns = { t: [] };

/** One series over the last 15 minutes; a gap is null. */
export const series = (name) => columns[name] || columns.t.map(() => null);
export const times = () => columns.t;

function append(now) {
  const values = {
    handled: now.totals.handled,
    produced: now.totals.produced,
    lag: now.totals.lag,
    failed: now.totals.failed_15m,
  };
  const shape = app.value;
  if (shape && shape.rev === now.rev) {
    shape.functions.forEach((f, i) => {
      ["rate", "p50", "p95", "p99"].forEach((name, n) => {
        values[`f:${f.name}:${name}`] = now.functions[i][n];
      });
    });
    shape.topics.forEach((t, i) => {
      values[`t:${t.name}:rate`] = now.topics[i][0];
      values[`t:${t.name}:lag`] = now.topics[i][1];
    });
  }
  const second = Math.floor(now.t);
  const last = columns.t.at(-1);
  if (last !== undefined && second <= last) return;
  // What was missed is a gap, not a line across it.
  const missed = last === undefined ? 0 : Math.min(second - last - 1, LONGEST);
  for (const name of new Set([...Object.keys(columns), ...Object.keys(values)])) {
    if (name === "t") continue;
    const column = (columns[name] ??= columns.t.map(() => null));
    for (let i = 0; i < missed; i += 1) column.push(null);
    column.push(values[name] ?? null);
    column.splice(0, column.length - LONGEST);
  }
  for (let i = missed; i >= 0; i -= 1) columns.t.push(second - i);
  columns.t.splice(0, columns.t.length - LONGEST);
}

// The stream: one a tab, none while the tab is hidden.

let source = null;
let polling = null;
let retry = null;
const listeners = new Set();

/** Call *listener* with records as they come; returns how to stop that. */
export function onRecords(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

async function loadApp() {
  try {
    const [shape, past] = await Promise.all([get("app"), get("history?seconds=900")]);
    // A server that has been started again remembers less than this page does.
    if (!columns.t.length || (past.t.length && past.t[0] <= columns.t[0])) columns = past;
    app.value = shape;
    refused.value = null;
    document.title = shape.title;
    return true;
  } catch (error) {
    // A server that is gone comes back: then what is shown stays, greyed.
    if (error.status !== 0 || !app.value) refused.value = error;
    connection.value = "lost";
    return false;
  }
}

function take(now) {
  connection.value = polling ? "polling" : "open";
  if (app.value && now.rev !== app.value.rev) loadApp();
  append(now);
  if (live.value || !tick.value) tick.value = now;
}

function close() {
  source?.close();
  source = null;
  clearInterval(polling);
  polling = null;
  clearTimeout(retry);
}

function open() {
  close();
  if (document.hidden || refused.value) return;
  const wanted = watching.value;
  const query = wanted
    ? { watch: wanted.topic, partition: wanted.partition, find: wanted.find }
    : {};
  source = new EventSource(`api/${address(["stream"], query)}`);
  source.addEventListener("tick", (e) => take(JSON.parse(e.data)));
  source.addEventListener("event", (e) => {
    events.value = [JSON.parse(e.data), ...events.value].slice(0, 200);
  });
  source.addEventListener("trouble", (e) => {
    trouble.value = JSON.parse(e.data).error;
  });
  source.addEventListener("records", (e) => {
    for (const listener of listeners) listener(JSON.parse(e.data).records);
  });
  source.onerror = () => {
    if (source?.readyState === EventSource.CLOSED) again();
    else connection.value = "lost";
  };
  source.onopen = () => {
    trouble.value = null;
    // After a restart the app may be another one.
    if (connection.value === "lost") loadApp();
  };
}

/** The stream was refused: too many tabs, no right, or a server that is gone. */
async function again() {
  close();
  if (!(await loadApp())) {
    retry = setTimeout(again, 1000);
    if (refused.value && refused.value.status !== 0) clearTimeout(retry);
    return;
  }
  polling = setInterval(async () => {
    try {
      take(await get("now"));
    } catch {
      connection.value = "lost";
    }
  }, 5000);
  retry = setTimeout(open, 30000);
}

// The token comes in the fragment, and is traded for a cookie no script can read.

function takeToken() {
  const token = new URLSearchParams(location.hash.replace(/^#\/?/, "")).get("token");
  if (!token) return false;
  history.replaceState(null, "", "#/");
  login(token).catch((error) => (refused.value = error));
  return true;
}

export async function login(token) {
  await post("login", { token });
  await start();
}

export async function start() {
  if (await loadApp()) {
    place.value = parse();
    open();
  } else if (refused.value.status === 0) retry = setTimeout(start, 1000);
}

export async function begin() {
  if (!takeToken()) await start();
  document.addEventListener("visibilitychange", open);
  let first = true;
  effect(() => {
    watching.value; // another topic, partition or search is another stream
    if (!first) open();
    first = false;
  });
}
