// Send a message: a form from the model's schema, or JSON. The server checks it.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { fieldsOf, filled, placed, written } from "../form.js";
import { isJson } from "../json.js";
import { address, get, post } from "../server.js";
import { app, link } from "../store.js";
import { Dot, Loading, Problem, Sentence, Tabs, html, useServer } from "../ui.js";

/** @param {{topic: object, start: {value, key, headers} | null, close: () => void}} props */
export function Send({ topic, start, close }) {
  const { data, error, reload } = useServer(address(["topics", topic.name, "schema"]));
  const panel = useRef();
  useEffect(() => {
    panel.current.querySelector("form input, form select, form textarea")?.focus();
  }, [data]);
  return html`<aside class="panel detail" aria-label="Send a message" ref=${panel}>
    <header>
      <h2>Send to <span class="mono">${topic.name}</span></h2>
      <span class="grow"></span>
      <button type="button" class="quiet" onClick=${close}>Close <kbd>Esc</kbd></button>
    </header>
    ${error ? html`<${Problem} error=${error} retry=${reload} />` : !data ? html`<${Loading}>Loading the model…<//>` : html`<${Form} topic=${topic} model=${data} start=${start} />`}
  </aside>`;
}

function Form({ topic, model, start }) {
  const fields = useMemo(() => fieldsOf(model.schema), [model]);
  const example = start?.value ?? model.example;
  const [tab, setTab] = useState(fields ? "Form" : "JSON");
  const [values, setValues] = useState(() => (fields ? filled(fields, example) : {}));
  const [text, setText] = useState(example ?? "");
  const [extra, setExtra] = useState({
    key: start?.key ?? "",
    headers: (start?.headers || []).map(([n, v]) => `${n}: ${v ?? ""}`).join("\n"),
    partition: "",
    tombstone: false,
  });
  const [problem, setProblem] = useState(null);
  const [sent, setSent] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef();

  const change = (name) => {
    if (name === "JSON" && tab === "Form") setText(written(fields, values).text);
    if (name === "Form" && tab === "JSON" && isJson(text)) setValues(filled(fields, text));
    setTab(name);
  };

  const submit = async (event) => {
    event.preventDefault();
    const message = tab === "Form" ? written(fields, values) : { text, errors: [] };
    setSent(null);
    if (!extra.tombstone && message.errors.length) {
      setProblem({ message: "The message is not sent.", fields: message.errors });
      return;
    }
    setBusy(true);
    try {
      const position = await post(address(["topics", topic.name, "records"]), {
        value: extra.tombstone ? null : message.text,
        key: extra.key === "" ? null : extra.key,
        headers: headersOf(extra.headers),
        partition: extra.partition === "" ? null : Number(extra.partition),
      });
      setProblem(null);
      setSent(position);
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  const submitByKey = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current.requestSubmit();
  };

  const { beside, rest } = problem ? placed(tab === "Form" && fields ? fields : [], problem.fields || []) : { beside: {}, rest: [] };
  const model_ = model.model && html` with <code>${model.model}</code>`;
  return html`
    ${fields && html`<${Tabs} names=${["Form", "JSON"]} selected=${tab} onSelect=${change} label="How to write it" />`}
    <form ref=${form} onSubmit=${submit} onKeyDown=${submitByKey} novalidate>
      ${problem &&
      html`<div class="problem" role="alert">
        <p><${Dot} kind="bad" /><${Sentence} text=${Object.keys(beside).length ? "It does not fit. See beside the fields." : problem.message} /></p>
        ${Object.keys(beside).length + rest.length > 0 && rest.length > 0 && html`<ul>${rest.map((line, i) => html`<li key=${i}>${line}</li>`)}</ul>`}
      </div>`}
      ${tab === "Form"
        ? fields.map(
            (field) => html`<${Field}
              key=${field.name}
              field=${field}
              value=${values[field.name]}
              error=${beside[field.name]}
              onChange=${(value) => setValues((old) => ({ ...old, [field.name]: value }))}
            />`,
          )
        : html`<div class="field">
            <label for="f-json">Message as JSON</label>
            <textarea id="f-json" rows="14" spellcheck="false" value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
          </div>`}
      <${Extra} topic=${topic} extra=${extra} onChange=${(changes) => setExtra((old) => ({ ...old, ...changes }))} />
      <div class="actions">
        <button class="primary" type="submit" disabled=${busy}>Send <kbd>Ctrl ↵</kbd></button>
        ${sent ? html`<${Sent} topic=${topic} position=${sent} />` : html`<span class="muted">Checked${model_} before it is sent</span>`}
      </div>
    </form>
  `;
}

function Field({ field, value, error, onChange }) {
  const id = `f-${field.name}`;
  const said = [error && `${id}-error`, field.help && `${id}-help`].filter(Boolean).join(" ");
  const common = {
    id,
    "aria-invalid": error ? "true" : null,
    "aria-describedby": said || null,
    "aria-required": field.required ? "true" : null,
    value: value ?? "",
    spellcheck: false,
    autocomplete: "off",
    onInput: (e) => onChange(e.target.value),
  };
  const hint = field.nullable ? "null" : "";
  let input;
  if (field.kind === "choice") {
    input = html`<select ...${common}>
      ${(!field.required || field.nullable || !field.choices.includes(value)) && html`<option value="">${hint}</option>`}
      ${field.choices.map((choice) => html`<option key=${choice} value=${choice}>${choice.replace(/^"|"$/g, "")}</option>`)}
    </select>`;
  } else if (field.kind === "json") input = html`<textarea rows="3" placeholder=${hint} ...${common}></textarea>`;
  else {
    input = html`<input
      type=${field.secret ? "password" : field.input === "date" ? "date" : "text"}
      inputmode=${field.kind === "number" ? "decimal" : null}
      placeholder=${hint}
      ...${common}
    />`;
  }
  return html`<div class=${`field ${error ? "wrong" : ""}`}>
    <label for=${id}><code>${field.name}</code>${field.required && html`<span class="required">required</span>`}<span class="type">${field.type}${field.nullable && " or null"}</span></label>
    ${input}
    ${error && html`<p class="bad" id=${`${id}-error`}>${error}</p>`}
    ${field.help && html`<p class="help" id=${`${id}-help`}><${Sentence} text=${field.help} /></p>`}
  </div>`;
}

function Extra({ topic, extra, onChange }) {
  const partitions = [...Array(topic.partitions || 0).keys()];
  return html`<details class="extra" open=${Boolean(extra.key || extra.headers)}>
    <summary>Key, headers, partition</summary>
    <div class="field">
      <label for="f-key-">Key</label>
      <input id="f-key-" autocomplete="off" spellcheck="false" value=${extra.key} onInput=${(e) => onChange({ key: e.target.value })} />
    </div>
    <div class="field">
      <label for="f-headers-">Headers</label>
      <textarea id="f-headers-" rows="2" spellcheck="false" placeholder="name: value, one a line" value=${extra.headers} onInput=${(e) => onChange({ headers: e.target.value })}></textarea>
    </div>
    <div class="field">
      <label for="f-partition-">Partition</label>
      <select id="f-partition-" value=${extra.partition} onChange=${(e) => onChange({ partition: e.target.value })}>
        <option value="">by the key</option>
        ${partitions.map((p) => html`<option key=${p} value=${String(p)}>${p}</option>`)}
      </select>
    </div>
    <label class="check"><input type="checkbox" checked=${extra.tombstone} onChange=${(e) => onChange({ tombstone: e.target.checked })} /> Tombstone: no value</label>
  </details>`;
}

/** Where the message is, and what becomes of it while somebody looks. */
function Sent({ topic, position }) {
  const path = address(["topics", topic.name, "records", position.partition, position.offset]);
  const [states, setStates] = useState([]);
  useEffect(() => {
    let left = 20;
    const timer = setInterval(async () => {
      left -= 1;
      const record = await get(path).catch(() => null);
      if (record) setStates(record.state);
      const open = record === null || record.state.some((s) => s.state === "waiting" || s.state === "unknown");
      if (!open || left === 0) clearInterval(timer);
    }, 500);
    return () => clearInterval(timer);
  }, [path]);
  const said = [...new Set(states.map((s) => s.state).filter((s) => s !== "unknown"))].join(", ");
  return html`<span role="status" class="sent">
    <${Dot} kind="ok" />Written to
    <a href=${link("topics", topic.name, { record: `${position.partition}:${position.offset}` })}><code>${topic.name}[${position.partition}]@${position.offset}</code></a>${said && `, ${said}`}
  </span>`;
}

const headersOf = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => {
      const colon = line.indexOf(":");
      return colon < 0 ? [line, ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    });

export const maySend = () => app.value.can.send;
