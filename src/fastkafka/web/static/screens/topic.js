// A topic's records, live or from a place, with the columns that its model has.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { clock, number, perSecond, plural, whole } from "../format.js";
import { members, unquoted } from "../json.js";
import { bind } from "../keys.js";
import { address, get } from "../server.js";
import { app, link, live, numbers, onRecords, place, remember, trouble, watching } from "../store.js";
import { Dot, Problem, Sentence, html, useServer } from "../ui.js";
import { RecordDetail } from "./record.js";
import { Send } from "./send.js";

const MOST_ROWS = 100;
const MOST_COLUMNS = 4;

/** Open a record beside the list. */
const select = (record) => remember({ record: id(record), send: null });

const id = (record) => `${record.partition}:${record.offset}`;

export function Topic({ name }) {
  const topic = app.value.topics.find((t) => t.name === name);
  if (!topic) return html`<h1>${name}</h1><p class="empty">This app has no topic of this name. <a href=${link("overview")}>Overview</a></p>`;
  return html`<${Records} topic=${topic} />`;
}

function Records({ topic }) {
  const { query } = place.value;
  const records = useRecords(topic, query);
  const schema = useServer(address(["topics", topic.name, "schema"])).data;
  const [onlyInvalid, setOnlyInvalid] = useState(false);
  const columns = useColumns(topic, schema);
  const [again, setAgain] = useState(null);
  const sending = query.send === "1" && app.value.can.send;
  const table = useRef();

  const rows = useMemo(
    () => (onlyInvalid ? records.rows.filter((r) => r.error) : records.rows),
    [records.rows, onlyInvalid],
  );
  const send = (record = null) => {
    setAgain(record);
    remember({ send: "1", record: null });
  };
  const close = () => {
    const was = query.record;
    setAgain(null);
    remember({ record: null, send: null });
    // Focus goes back to where it came from.
    const row = was && table.current?.querySelector(`[data-id="${was}"]`);
    requestAnimationFrame(() => (row || document.getElementById("main")).focus());
  };
  useEffect(() => bind("s", () => app.value.can.send && send()), [topic.name]);
  useEffect(() => bind("Escape", close));
  useEffect(() => bind("ArrowDown", () => step(table.current, 1)), []);
  useEffect(() => bind("ArrowUp", () => step(table.current, -1)), []);

  const open = query.record || sending;
  return html`
    <${Heading} topic=${topic} send=${send} />
    <${Filter} topic=${topic} query=${query} onlyInvalid=${onlyInvalid} setOnlyInvalid=${setOnlyInvalid} columns=${columns} records=${records} />
    ${trouble.value && html`<div class="problem" role="alert"><p><${Dot} kind="bad" /><${Sentence} text=${trouble.value} /></p></div>`}
    ${records.error && html`<${Problem} error=${records.error} retry=${records.reload} />`}
    <div class=${`split ${open ? "open" : ""}`}>
      <div class="panel scroll" ref=${table} onScroll=${records.onScroll} tabindex="0" role="region" aria-label="Messages">
        <${Table} rows=${rows} columns=${columns} selected=${query.record} records=${records} topic=${topic} send=${send} onlyInvalid=${onlyInvalid} />
      </div>
      ${sending
        ? html`<${Send} key=${again ? id(again) : ""} topic=${topic} start=${again} close=${close} />`
        : query.record && html`<${RecordDetail} key=${query.record} topic=${topic} place=${query.record} close=${close} again=${app.value.can.send && topic.role !== "dead_letters" ? send : null} />`}
    </div>
  `;
}

/** Move the focus to the next row. */
function step(table, direction) {
  const rows = [...table.querySelectorAll("tbody tr[tabindex]")];
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + direction));
  rows[next].focus();
}

function Heading({ topic, send }) {
  const v = numbers.value.topics.get(topic.name) || {};
  const shape = app.value;
  const readers = shape.functions.filter((f) => shape.edges.some((e) => e.from === `t:${topic.name}` && e.to === `f:${f.name}`));
  const source = topic.name.replace(/-dlt$/, "");
  return html`<div class="heading big">
    <h1>${topic.name}</h1>
    <span class="muted">
      ${topic.partitions != null && `${plural(topic.partitions, "partition")} · `}${topic.model && html`<code>${topic.model}</code> · `}
      ${topic.role === "dead_letters"
        ? html`dead letters of <a href=${link("topics", source)}>${source}</a>, <a href=${link("failures")}>grouped by cause</a>`
        : readers.length
          ? html`read by ${readers.map((f) => html`<a key=${f.name} href=${link("functions", f.name)}><code>${f.name}</code></a> `)}`
          : "written by this app"}
    </span>
    <span class="grow"></span>
    <span class="muted">${perSecond(v.rate)}${v.lag != null && ` · lag ${number(v.lag)}`}</span>
    ${shape.can.send &&
    topic.role !== "dead_letters" &&
    html`<button type="button" class="primary" onClick=${() => send()}>Send a message <kbd>S</kbd></button>`}
  </div>`;
}

const FROM = { "": "newest", beginning: "beginning", time: "time…", offset: "offset…" };

function Filter({ topic, query, onlyInvalid, setOnlyInvalid, columns, records }) {
  const [find, setFind] = useState(query.find || "");
  const [from, setFrom] = useState(fromOf(query.at));
  const [where, setWhere] = useState("");
  const submit = (event) => {
    event.preventDefault();
    remember({ find: find.trim() || null });
  };
  const changeFrom = (value) => {
    setFrom(value);
    if (value === "" || value === "beginning") remember({ at: value || null });
  };
  const go = (event) => {
    event.preventDefault();
    remember({ at: placeOf(from, where, topic, query) });
  };
  return html`<search class="bar">
    <form onSubmit=${submit} class="find">
      <input type="search" aria-label="Find" placeholder="Find: paid total>100 key:c-1" value=${find}
        onInput=${(e) => {
          setFind(e.target.value);
          if (e.target.value === "") remember({ find: null });
        }} />
      <kbd aria-hidden="true">/</kbd>
    </form>
    <label>From
      <select value=${from} onChange=${(e) => changeFrom(e.target.value)}>
        ${Object.entries(FROM).map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select>
    </label>
    ${(from === "time" || from === "offset") &&
    html`<form class="where" onSubmit=${go}>
      <input type=${from === "time" ? "datetime-local" : "text"} step="1" inputmode=${from === "offset" ? "numeric" : null} aria-label=${from === "time" ? "Time" : "Offset"} value=${where} onInput=${(e) => setWhere(e.target.value)} required />
      <button>Go</button>
    </form>`}
    <label>Partition
      <select value=${query.partition || ""} onChange=${(e) => remember({ partition: e.target.value || null })}>
        <option value="">all</option>
        ${[...Array(topic.partitions || 0).keys()].map((p) => html`<option key=${p} value=${String(p)}>${p}</option>`)}
      </select>
    </label>
    <label class="check"><input type="checkbox" checked=${onlyInvalid} onChange=${(e) => setOnlyInvalid(e.target.checked)} /> only invalid</label>
    ${columns.all.length > 0 && html`<${ColumnMenu} columns=${columns} />`}
    <span class="grow"></span>
    <${LiveState} topic=${topic} records=${records} />
  </search>`;
}

const fromOf = (at) => (!at ? "" : at === "beginning" ? at : at.startsWith("t") ? "time" : "offset");

function placeOf(from, where, topic, query) {
  if (from === "time") return `t${new Date(where).getTime() / 1000}`;
  const offset = Number.parseInt(where, 10) || 0;
  const partitions = query.partition ? [query.partition] : [...Array(topic.partitions || 1).keys()];
  return partitions.map((p) => `${p}:${offset}`).join(",");
}

function ColumnMenu({ columns }) {
  return html`<details class="dropdown">
    <summary>Columns</summary>
    <div class="panel pad">
      ${columns.all.map(
        (column) => html`<label class="check" key=${column}>
          <input type="checkbox" checked=${columns.shown.includes(column)} onChange=${() => columns.toggle(column)} /> ${column}
        </label>`,
      )}
    </div>
  </details>`;
}

function LiveState({ topic, records }) {
  const rate = numbers.value.topics.get(topic.name)?.rate;
  if (records.waiting > 0) {
    return html`<button type="button" onClick=${records.show}>${whole(records.waiting)} new</button>`;
  }
  if (!records.follows) return html`<span class="muted">From a place: not live</span>`;
  return html`<span class="muted" role="status">
    ${live.value ? html`<${Dot} kind="ok" />Live.` : "Paused."}
    ${rate > 50 ? ` Showing 50 of ${number(rate)} records/s` : ` ${whole(records.rows.length)} shown`}
  </span>`;
}

function Table({ rows, columns, selected, records, topic, send, onlyInvalid }) {
  const width = columns.shown.length + 5;
  return html`<table class="list" aria-busy=${records.loading}>
    <caption class="vh">Messages, newest first</caption>
    <thead>
      <tr>
        <th class="r">Time</th><th class="r"><abbr title="Partition">P</abbr></th><th class="r">Offset</th><th>Key</th>
        ${columns.shown.map((c) => html`<th key=${c} class=${columns.isNumber(c) ? "r" : ""}>${c}</th>`)}
        <th>${columns.shown.length ? "Rest of the value" : "Value"}</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map((record) => html`<${Row} key=${id(record)} record=${record} columns=${columns} selected=${selected === id(record)} />`)}
      ${rows.length === 0 && html`<tr><td class="empty" colspan=${width}><${Nothing} records=${records} topic=${topic} send=${send} onlyInvalid=${onlyInvalid} /></td></tr>`}
      ${records.more &&
      html`<tr><td class="more" colspan=${width}>
        <button type="button" onClick=${records.older} disabled=${records.loading}>${records.loading ? "Reading…" : "Older records"}</button>
        <span class="muted"> ${whole(records.searched)} looked at</span>
      </td></tr>`}
    </tbody>
  </table>`;
}

function Nothing({ records, topic, send, onlyInvalid }) {
  if (records.loading) return html`<span role="status">Reading…</span>`;
  if (records.error) return "";
  if (onlyInvalid && records.rows.length) return "All of these records fit the model.";
  if (place.value.query.find) return `Nothing found in ${plural(records.searched, "record")}.`;
  return html`There are no records${topic.partitions == null ? ", and the topic may not exist yet" : ""}.
    ${app.value.can.send && topic.role !== "dead_letters" && html` <button type="button" onClick=${() => send()}>Send a message</button>`}`;
}

// Its properties stay the same, so that a row is drawn once and not once a second.
function Row({ record, columns, selected }) {
  const open = () => select(record);
  const values = useMemo(() => members(record.format === "json" ? record.value : null), [record]);
  const cells = record.error
    ? html`<td class="mono cut bad" colspan=${columns.shown.length + 1}>${record.error}</td>`
    : html`${columns.shown.map((c) => html`<td key=${c} class=${`mono short ${columns.isNumber(c) ? "r" : ""}`}>${unquoted(values?.get(c)) ?? ""}</td>`)}
        <td class="mono cut">${rest(record, values, columns.shown)}</td>`;
  return html`<tr
    tabindex="0"
    data-id=${id(record)}
    aria-selected=${selected}
    onClick=${open}
    onKeyDown=${(e) => e.key === "Enter" && open()}
  >
    <td class="r mono">${clock(record.timestamp)}</td>
    <td class="r mono">${record.partition}</td>
    <td class="r mono">${record.offset}</td>
    <td class="mono short">${record.key ?? ""}</td>
    ${cells}
  </tr>`;
}

/** What of a value is in no column, on one line. */
function rest(record, values, shown) {
  if (record.value == null) return "tombstone";
  if (!values) return record.value.slice(0, 300);
  const others = [...values].filter(([name]) => !shown.includes(name));
  return others.map(([name, raw]) => `${name}: ${raw}`).join(", ").slice(0, 300);
}

/** The columns of a topic: the model's first scalar fields, until somebody chooses. */
function useColumns(topic, answer) {
  const key = `fastkafka.columns.${topic.name}`;
  const fields = useMemo(() => scalars(answer?.schema), [answer]);
  const [chosen, setChosen] = useState(() => stored(key));
  return useMemo(() => {
    const all = [...fields.keys()];
    const shown = (chosen || all.slice(0, MOST_COLUMNS)).filter((c) => fields.has(c));
    const toggle = (column) => {
      const next = all.filter((c) => shown.includes(c) !== (c === column));
      setChosen(next);
      localStorage.setItem(key, JSON.stringify(next));
    };
    return { all, shown, toggle, isNumber: (c) => fields.get(c) };
  }, [fields, chosen]);
}

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

/** The scalar fields of a schema's object, and whether each is a number. */
function scalars(schema) {
  const found = new Map();
  const name = schema?.$ref?.split("/").pop();
  const object = name && schema.definitions && Object.hasOwn(schema.definitions, name) ? schema.definitions[name] : schema;
  for (const [field, property] of Object.entries(object?.properties || {})) {
    const choices = property.anyOf || [property];
    const types = choices.flatMap((c) => c.type || (c.enum || c.$ref || c.allOf ? "string" : [])).filter((t) => t !== "null");
    if (types.some((t) => t === "object" || t === "array") || types.length === 0) continue;
    found.set(field, types.some((t) => t === "number" || t === "integer"));
  }
  return found;
}

/** The rows: what the server has, and what comes while the list is at its top. */
function useRecords(topic, query) {
  const [state, setState] = useState({ rows: [], loading: true, error: null, more: false, searched: 0, backTo: "" });
  const [waiting, setWaiting] = useState([]);
  const atTop = useRef(true);
  const held = useRef([]);
  const filter = { find: query.find, partition: query.partition };
  const path = ["topics", topic.name, "records"];
  const key = JSON.stringify([topic.name, query.find, query.partition, query.at]);
  const now = useRef(key);
  now.current = key;
  const follows = !query.at;

  const load = async (before = null) => {
    setState((old) => ({ ...old, loading: true, error: null, rows: before ? old.rows : [] }));
    try {
      const page = await get(address(path, { ...filter, at: before ? null : query.at, before }));
      if (now.current !== key) return;
      const rows = [...page.records].reverse();
      setState((old) => ({
        rows: before ? unique([...old.rows, ...rows]) : unique([...rows, ...old.rows]),
        loading: false,
        error: null,
        more: page.more,
        searched: (before ? old.searched : 0) + page.searched,
        backTo: page.back_to,
      }));
    } catch (error) {
      if (now.current === key) setState((old) => ({ ...old, loading: false, error }));
    }
  };
  const add = (rows) => setState((old) => ({ ...old, rows: unique([...rows, ...old.rows]).slice(0, MOST_ROWS) }));
  const show = () => {
    add(held.current);
    held.current = [];
    setWaiting([]);
  };
  useEffect(() => {
    held.current = [];
    setWaiting([]);
    load();
    watching.value = follows ? { topic: topic.name, ...filter } : null;
    const stop = onRecords((records) => {
      if (now.current !== key || !follows) return;
      const rows = [...records].reverse();
      if (live.value && atTop.current) add(rows);
      else {
        held.current = unique([...rows, ...held.current]).slice(0, MOST_ROWS);
        setWaiting(held.current);
      }
    });
    return () => {
      stop();
      watching.value = null;
    };
  }, [key]);
  useEffect(() => live.subscribe((on) => on && held.current.length && show()), [key]);

  const known = useMemo(() => new Set(state.rows.map(id)), [state.rows]);
  return {
    ...state,
    follows,
    waiting: waiting.filter((record) => !known.has(id(record))).length,
    show,
    reload: () => load(),
    older: () => load(state.backTo),
    onScroll: (event) => {
      atTop.current = event.currentTarget.scrollTop < 8;
      if (atTop.current && live.value && held.current.length) show();
    },
  };
}

function unique(rows) {
  const seen = new Set();
  return rows.filter((record) => !seen.has(id(record)) && seen.add(id(record)));
}
