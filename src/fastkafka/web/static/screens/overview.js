// Is it all right, what flows where, what went wrong.

import { Chart, Spark } from "../charts.js";
import { Flow } from "../flow.js";
import { duration, number, perSecond } from "../format.js";
import { app, numbers, series, tick } from "../store.js";
import { Dot, Loading, Sentence, html } from "../ui.js";

export function Overview() {
  const shape = app.value;
  if (shape.broken) return html`<${Broken} broken=${shape.broken} />`;
  if (!tick.value || !numbers.value.totals) return html`<${Loading}>Waiting for the first numbers…<//>`;
  const empty = shape.functions.length + shape.producers.length === 0;
  return html`
    <h1 class="vh">Overview</h1>
    <${Stats} totals=${numbers.value.totals} />
    <${Attention} lines=${numbers.value.attention} />
    <section aria-labelledby="flow">
      <div class="heading"><h2 id="flow">Flow</h2><span class="muted">records per second now; line width grows with the rate</span></div>
      <div class="panel pad">${empty ? html`<${NoFunctions} />` : html`<${Flow} />`}</div>
    </section>
    <section class="two" aria-label="Charts">
      <div class="panel">
        <${Chart}
          title="Throughput"
          unit="records/s"
          lines=${[
            { label: "handled", name: "handled", color: "--accent", fill: "--c1f" },
            { label: "produced", name: "produced", color: "--c2", dash: [5, 3] },
          ]}
        />
      </div>
      <div class="panel">
        <${Chart} title="Lag" unit="records" lines=${[{ label: "all partitions", name: "lag", color: "--cw", fill: "--cwf" }]} />
      </div>
    </section>
  `;
}

function Stats({ totals }) {
  const recent = (name) => series(name).slice(-90);
  const late = totals.lag > 1000 && totals.lag_age > 30;
  const stat = (label, value, note, data, kind = "") => html`<div class=${`stat ${kind}`} key=${label}>
    <dt>${label}</dt>
    <dd>
      <b>${value}</b>
      <span class="note">${note}${data && html`<${Spark} data=${data} width=${72} height=${16} />`}</span>
    </dd>
  </div>`;
  return html`<dl class="stats">
    ${stat("Handled", perSecond(totals.handled), "all functions", recent("handled"))}
    ${stat("Produced", perSecond(totals.produced), "records", recent("produced"))}
    ${stat("Lag", number(totals.lag), totals.lag ? `oldest ${duration(totals.lag_age)}` : "nothing waits", recent("lag"), late ? "warn" : "")}
    ${stat("Busy", `${totals.busy} of ${totals.capacity}`, "handlers running")}
    ${stat("Failed", number(totals.failed_15m), totals.parked ? `in 15 min, ${number(totals.parked)} parked` : "in 15 min", null, totals.failed_15m ? "bad" : "")}
  </dl>`;
}

function Attention({ lines }) {
  if (!lines || lines.length === 0) return null;
  return html`<ul class="attention" aria-label="Needs attention">
    ${lines.map(
      (line, i) => html`<li key=${i}>
        <${Dot} kind=${line.level} /><span class="vh">${line.level === "bad" ? "Trouble: " : "Warning: "}</span>
        <a href=${line.link}><code>${line.what}</code></a> <${Sentence} text=${line.text} />
        ${line.hint && html` <span class="muted"><${Sentence} text=${line.hint} /></span>`}
      </li>`,
    )}
  </ul>`;
}

const NoFunctions = () => html`<div class="empty">
  <p>This app has no functions yet. Add one, and it appears here:</p>
  <pre class="json">@app.consumes(topic="orders")
async def on_orders(order: Order) -> None: ...</pre>
</div>`;

function Broken({ broken }) {
  return html`
    <h1>The app cannot be imported</h1>
    <p class="prose"><${Sentence} text=${broken.error} /></p>
    ${broken.traceback && html`<pre class="traceback" tabindex="0" role="region" aria-label="Traceback">${broken.traceback}</pre>`}
    <p class="muted">${app.value.mode === "dev" ? "It is tried again as soon as a file changes." : "Correct it and start the app again."}</p>
  `;
}

