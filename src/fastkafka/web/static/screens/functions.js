// What each function does: how much, how fast, how busy, how often in vain.

import { Chart, Spark } from "../charts.js";
import { duration, number, percentile } from "../format.js";
import { app, link, numbers, series } from "../store.js";
import { Empty, html, useServer } from "../ui.js";
import { FunctionControl, Paused, mayControl } from "./control.js";

export function Functions({ name }) {
  const shape = app.value;
  const { data, reload } = useServer("control", 5);
  const now = (fn) => data?.functions.find((f) => f.name === fn.name && f.group === fn.group);
  const chosen = shape.functions.find((f) => f.name === name) || shape.functions[0];
  if (!chosen) return html`<h1>Functions</h1><${Empty}>No function of this app consumes anything. <code>@app.consumes</code> makes one.<//>`;
  return html`
    <div class="heading big">
      <h1>Functions</h1>
      <span class="muted">times of the last 60 s, from the metrics' histogram; failures of 15 min</span>
    </div>
    <div class="panel scroll-x" tabindex="0" role="region" aria-label="Functions">
      <table class="list">
        <thead>
          <tr>
            <th>Function</th><th>Topic</th><th>Order</th><th class="r">Records/s</th>
            <th><span class="vh">Last 90 s</span></th>
            <th class="r">Mean</th><th class="r">p50</th><th class="r">p95</th><th class="r">p99</th>
            <th class="r">Busy</th><th class="r">Waiting</th><th class="r">Retried</th><th class="r">Failed</th>
          </tr>
        </thead>
        <tbody>
          ${shape.functions.map((fn) => html`<${Row} key=${fn.name} fn=${fn} now=${now(fn)} chosen=${fn === chosen} />`)}
        </tbody>
      </table>
    </div>
    <${Detail} key=${chosen.name} fn=${chosen} now=${now(chosen)} reload=${reload} />
  `;
}

function Row({ fn, now, chosen }) {
  const v = numbers.value.functions.get(fn.name) || {};
  const full = v.capacity > 1 && v.busy >= v.capacity;
  const share = v.capacity ? Math.min(100, (v.busy / v.capacity) * 100) : 0;
  return html`<tr aria-selected=${chosen ? "true" : null}>
    <td><a href=${link("functions", fn.name)} aria-current=${chosen ? "true" : null}><code>${fn.name}</code></a><${Paused} now=${now} /></td>
    <td>${fn.topic}</td>
    <td>${fn.order}</td>
    <td class="r">${number(v.rate)}</td>
    <td><${Spark} data=${series(`f:${fn.name}:rate`).slice(-90)} /></td>
    <td class="r">${duration(v.mean)}</td>
    <td class="r">${percentile(v.p50)}</td>
    <td class="r">${percentile(v.p95)}</td>
    <td class="r">${percentile(v.p99)}</td>
    <td class="r">
      <span class="meter"><i class=${full ? "full" : ""} style=${{ width: `${share}%` }}></i></span>
      <span class=${full ? "warn" : ""}>${v.busy ?? 0} of ${v.capacity ?? fn.concurrency}</span>
    </td>
    <td class="r">${number(v.waiting ?? 0)}</td>
    <td class="r">${number(v.retried ?? 0)}</td>
    <td class="r">${v.failed ? html`<a class="bad" href=${link("failures")}>${number(v.failed)}</a>` : "0"}</td>
  </tr>`;
}

function Detail({ fn, now, reload }) {
  const line = (label, rest) => ({ label, name: `f:${fn.name}:${label}`, ...rest });
  return html`<section aria-label=${fn.name}>
    <div class="heading">
      <h2><code>${fn.name}</code></h2>
      <span class="muted">
        ${fn.source && html`${fn.source} · `}<code>retry=${fn.retry}</code> · <code>on_failure=${fn.on_failure}</code>${fn.group && html` · group <code>${fn.group}</code>`}
      </span>
    </div>
    ${now && mayControl() && html`<${FunctionControl} now=${now} reload=${reload} />`}
    ${fn.description && html`<p class="prose small">${fn.description}</p>`}
    <div class="two">
      <div class="panel">
        <${Chart}
          title="Handler time"
          unit="ms"
          axis=${(v) => number(v * 1000)}
          format=${(v) => (v == null ? "–" : v <= 0.005 ? "≤ 5" : number(v * 1000))}
          lines=${[
            line("p50", { color: "--accent", width: 2 }),
            line("p95", { color: "--accent", dash: [6, 3] }),
            line("p99", { color: "--c2", width: 1, dash: [2, 3] }),
          ]}
        />
      </div>
      <div class="panel">
        <${Chart} title="Throughput" unit="records/s" lines=${[{ label: "handled", name: `f:${fn.name}:rate`, color: "--accent", fill: "--c1f" }]} />
      </div>
    </div>
  </section>`;
}
