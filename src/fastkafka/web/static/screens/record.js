// One record whole: what it says, its bytes, and what has become of it.

import { useEffect, useRef, useState } from "preact/hooks";
import { ago, iso, size } from "../format.js";
import { address } from "../server.js";
import { Dot, Empty, Json, Loading, Problem, Sentence, Tabs, html, useServer } from "../ui.js";

/** @param {{topic, place: string, close: () => void, again: ((record) => void) | null}} props */
export function RecordDetail({ topic, place, close, again }) {
  const [partition, offset] = place.split(":");
  const { data, error, reload } = useServer(address(["topics", topic.name, "records", partition, offset]), 3);
  const position = `${topic.name}[${partition}]@${offset}`;
  return html`<aside class="panel detail" aria-label="Message">
    <header>
      <h2 class="mono">${position}</h2>
      <span class="grow"></span>
      <button type="button" class="quiet" onClick=${close}>Close <kbd>Esc</kbd></button>
    </header>
    ${data ? html`<${Whole} topic=${topic} record=${data} again=${again} />` : error ? html`<${Problem} error=${error} retry=${reload} />` : html`<${Loading}>Reading the record…<//>`}
  </aside>`;
}

function Whole({ topic, record, again }) {
  const [tab, setTab] = useState("Value");
  return html`
    <p class="fit">
      ${record.error
        ? html`<${Dot} kind="bad" /><span class="bad">Does not fit${topic.model && html` <code>${topic.model}</code>`}: <${Sentence} text=${record.error} /></span>`
        : html`<${Dot} kind="ok" />Fits${topic.model ? html` <code>${topic.model}</code>` : ""}`}
    </p>
    <${Facts} record=${record} />
    <${Tabs} names=${["Value", "Raw bytes", "State"]} selected=${tab} onSelect=${setTab} label="Record" />
    <div role="tabpanel" aria-label=${tab}>
      ${tab === "Value" && html`<${Value} record=${record} />`}
      ${tab === "Raw bytes" && html`<${Raw} record=${record} />`}
      ${tab === "State" && html`<${State} record=${record} />`}
    </div>
    <div class="actions">
      <${Copy} text=${record.value ?? ""} />
      ${again && html`<button type="button" onClick=${() => again(record)}>Edit and send again</button>`}
    </div>
  `;
}

export const Facts = ({ record }) => html`<dl class="kv">
  <dt>Time</dt><dd class="mono">${iso(record.timestamp)} <span class="muted">${ago(record.timestamp)}</span></dd>
  <dt>Key</dt><dd class="mono break">${record.key ?? html`<span class="muted">none</span>`}</dd>
  <dt>Size</dt><dd>${size(record.size)}</dd>
  ${record.headers.map(([name, value], i) => html`<dt key=${i} class="mono break">${name}</dt><dd class="mono break">${cut(value)}</dd>`)}
</dl>`;

const cut = (text) => (text == null ? "null" : text.length > 600 ? `${text.slice(0, 600)}…` : text);

export function Value({ record }) {
  if (record.value == null) return html`<${Empty}>A tombstone: it has no value.<//>`;
  return html`<${Json} text=${record.value} />${record.truncated && html`<p class="muted pad-0">Only the beginning; the record has ${size(record.size)}.</p>`}`;
}

export function Raw({ record }) {
  if (record.withheld) return html`<${Empty}>Withheld, because the model has secret fields.<//>`;
  if (record.raw == null) return html`<${Empty}>A tombstone: it has no bytes.<//>`;
  return html`<pre class="json hex" tabindex="0" role="region" aria-label="Raw bytes">${hex(record.raw)}</pre>`;
}

const MOST_BYTES = 4096;

/** Base64 to lines of offset, bytes and letters. */
function hex(base64) {
  const bytes = atob(base64);
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, MOST_BYTES); at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    const numbers = part.map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
    const letters = part.map((c) => (c >= " " && c <= "~" ? c : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${numbers.padEnd(47)}  ${letters}`);
  }
  if (bytes.length > MOST_BYTES) lines.push(`… ${bytes.length - MOST_BYTES} more`);
  return lines.join("\n");
}

const SAID = {
  handled: ["ok", "handled"],
  parked: ["bad", "parked as a dead letter"],
  waiting: ["warn", "waiting"],
  unknown: ["", "not known here: no worker of this run has the partition"],
};

function State({ record }) {
  if (record.state.length === 0) return html`<${Empty}>No group of this app reads this topic.<//>`;
  return html`<ul class="states">
    ${record.state.map(({ group, state, behind }) => {
      const [kind, text] = SAID[state];
      const order = state === "waiting" ? (behind ? `, behind ${behind} others` : ", it is the next one") : "";
      return html`<li key=${group}><${Dot} kind=${kind} /><code>${group}</code>: ${text}${order}</li>`;
    })}
  </ul>`;
}

export function Copy({ text }) {
  const [done, setDone] = useState(false);
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" onClick=${copy}>${done ? "Copied" : "Copy"}</button>`;
}
