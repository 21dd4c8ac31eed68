// How far each partition is behind, the worst first, and when it will have caught up.

import { useState } from "preact/hooks";
import { Chart } from "../charts.js";
import { duration, number, plural } from "../format.js";
import { MUCH_LAG } from "../flow.js";
import { Empty, Loading, Problem, html, useServer } from "../ui.js";
import { PartitionControl, mayControl } from "./control.js";

export function Lag() {
  const { data, error, reload } = useServer("lag", 5);
  const [chosen, choose] = useState(null);
  const row = data?.rows.find((r) => keyOf(r) === chosen);
  const title = html`<h1>Lag</h1>`;
  if (error && !data) return html`${title}<${Problem} error=${error} retry=${reload} />`;
  if (!data) return html`${title}<${Loading}>Asking the brokers…<//>`;
  if (data.rows.length === 0) {
    return html`${title}<${Empty}>No group of this app reads an existing topic. A topic appears with its first record, or with <code>create_topics=True</code>.<//>`;
  }
  const behind = (topic) => data.rows.filter((r) => r.topic === topic).reduce((sum, r) => sum + r.lag, 0);
  const topics = [...new Set(data.rows.map((row) => row.topic))].sort((a, b) => behind(b) - behind(a));
  const most = Math.max(100, ...data.rows.map((row) => row.lag));
  return html`
    <div class="heading big">
      ${title}
      <span class="muted">
        group ${data.groups.map((group, i) => html`${i > 0 && ", "}<code>${group}</code>`)}, the workers here own ${data.owned} of
        ${" "}${plural(data.rows.length, "partition")}; asked every 5 s
      </span>
    </div>
    ${error && html`<${Problem} error=${error} retry=${reload} />`}
    <div class="panel">
      <${Chart} title="Lag" unit="records" height=${120} lines=${[{ label: "all partitions", name: "lag", color: "--cw", fill: "--cwf" }]} />
    </div>
    ${topics.map((topic) => html`<${Table} key=${topic} topic=${topic} rows=${data.rows.filter((r) => r.topic === topic)} sum=${behind(topic)} most=${most} groups=${data.groups.length} choose=${choose} />`)}
    ${row && html`<${PartitionControl} row=${row} reload=${reload} close=${() => choose(null)} />`}
  `;
}

const keyOf = (row) => `${row.group}/${row.topic}/${row.partition}`;

function Table({ topic, rows, sum, most, groups, choose }) {
  return html`<section aria-label=${topic}>
    <div class="heading"><h2>${topic}</h2><span class="muted">${number(sum)} ${sum === 1 ? "record" : "records"} behind</span></div>
    <div class="panel scroll-x" tabindex="0" role="region" aria-label=${`Partitions of ${topic}`}>
      <table class="list">
        <thead>
          <tr>
            <th class="r">Partition</th>${groups > 1 && html`<th>Group</th>`}<th class="r">Lag</th>
            <th class="bar-column"><span class="vh">Share</span></th>
            <th class="r">Oldest waits</th><th class="r">Records/s</th><th class="r">Drains in</th>
            <th class="r">Committed</th><th class="r">End</th><th class="r">Worker</th><th>State</th>
            ${mayControl() && html`<th><span class="vh">Control</span></th>`}
          </tr>
        </thead>
        <tbody>${rows.map((row) => html`<${Row} key=${keyOf(row)} row=${row} most=${most} groups=${groups} choose=${choose} />`)}</tbody>
      </table>
    </div>
  </section>`;
}

function Row({ row, most, groups, choose }) {
  const late = row.grows && row.lag > MUCH_LAG;
  const width = `${Math.sqrt(row.lag / most) * 100}%`;
  return html`<tr>
    <td class="r">${row.partition}</td>
    ${groups > 1 && html`<td><code>${row.group}</code></td>`}
    <td class="r">${number(row.lag)}</td>
    <td><span class="lag-bar">${row.lag > 0 && html`<i class=${late ? "full" : ""} style=${{ width }}></i>`}</span></td>
    <td class="r">${row.lag ? duration(row.age) : "–"}</td>
    <td class="r">${number(row.rate)}</td>
    <td class="r">${drains(row)}</td>
    <td class="r mono">${row.committed ?? "–"}</td>
    <td class="r mono">${row.end}</td>
    <td class="r">${row.worker ?? "–"}</td>
    <td>${state(row)}</td>
    ${mayControl() && html`<td><button type="button" class="quiet" aria-label=${`Control ${row.topic}[${row.partition}] of ${row.group}`} onClick=${() => choose(keyOf(row))}>Control…</button></td>`}
  </tr>`;
}

function drains(row) {
  if (!row.lag) return "–";
  if (row.grows) return html`<span class="warn">never: +${number(row.growth)}/s</span>`;
  if (row.drains == null) return "–";
  return row.drains < 1 ? "< 1 s" : duration(row.drains);
}

function state(row) {
  if (row.state === "elsewhere") return html`<span class="muted">not here</span>`;
  if (row.paused_for.length) return html`<span class="warn">paused: ${row.paused_for.join(", ")}</span>`;
  if (row.state === "paused") return html`<span class="warn">paused, full</span>`;
  return "running";
}
