// Probes with their reasons, workers, what happened, versions and settings.

import { ago, clock, duration, whole } from "../format.js";
import { Dot, Empty, Loading, Problem, Sentence, html, useServer } from "../ui.js";

export function Health() {
  const { data, error, reload } = useServer("health", 2);
  const title = html`<h1>Health</h1>`;
  if (error && !data) return html`${title}<${Problem} error=${error} retry=${reload} />`;
  if (!data) return html`${title}<${Loading}>Asking the workers…<//>`;
  return html`
    <div class="heading big">${title}<span class="muted">the same as <a href="livez">livez</a>, <a href="readyz">readyz</a> and <a href="metrics">metrics</a></span></div>
    ${error && html`<${Problem} error=${error} retry=${reload} />`}
    <div class="two even">
      <${Probe} name="Live" what="the workers can make progress" probe=${data.live} />
      <${Probe} name="Ready" what="the work is being done" probe=${data.ready} />
    </div>
    <${Workers} workers=${data.workers} />
    <${Members} members=${data.members} />
    <${Events} events=${data.events} />
    <${Settings} data=${data} />
  `;
}

const Probe = ({ name, what, probe }) => html`<section class="panel pad" aria-label=${name}>
  <h2><${Dot} kind=${probe.ok ? "ok" : "bad"} />${name}: ${probe.ok ? "yes" : "no"}</h2>
  <p class="muted">${what}</p>
  ${probe.reasons.length > 0 &&
  html`<ul class="reasons">${probe.reasons.map(
    (r, i) => html`<li key=${i}><${Sentence} text=${r.text} /> <span class="muted">Since ${ago(r.since)}.</span></li>`,
  )}</ul>`}
</section>`;

const Workers = ({ workers }) => html`<section aria-label="Workers">
  <div class="heading"><h2>Workers</h2></div>
  <div class="panel scroll-x" tabindex="0" role="region" aria-label="Workers">
    <table class="list">
      <thead><tr><th class="r">Worker</th><th class="r">Process</th><th>State</th><th class="r">Partitions</th><th class="r">In flight</th><th class="r">Loop lag</th><th class="r">Last heard</th></tr></thead>
      <tbody>${workers.map(
        (w) => html`<tr key=${w.worker}>
          <td class="r">${w.worker}</td><td class="r mono">${w.pid ?? "–"}</td>
          <td>${!w.live ? html`<span class="bad">stuck</span>` : !w.ready ? html`<span class="warn">not ready</span>` : html`<span class="ok">ready</span>`}</td>
          <td class="r">${w.partitions}</td><td class="r">${whole(w.in_flight)}</td>
          <td class="r">${duration(w.loop_lag)}</td><td class="r">${ago(w.time)}</td>
        </tr>`,
      )}</tbody>
    </table>
  </div>
</section>`;

const Members = ({ members }) =>
  members.length > 0 &&
  html`<section aria-label="Groups">
    <div class="heading"><h2>Groups</h2></div>
    <div class="panel scroll-x" tabindex="0" role="region" aria-label="Groups">
      <table class="list">
        <thead><tr><th>Group</th><th>Topics</th><th class="r">Worker</th><th>Broker</th><th class="r">Assigned</th><th class="r">Rebalances</th><th class="r">Commits</th><th class="r">Failed commits</th></tr></thead>
        <tbody>${members.map(
          (m, i) => html`<tr key=${i}>
            <td><code>${m.group ?? "none"}</code></td><td>${m.topics.join(", ")}</td><td class="r">${m.worker}</td>
            <td>${m.connected ? "answers" : html`<span class="bad">does not answer</span>`}</td>
            <td class="r">${m.assigned}</td><td class="r">${whole(m.rebalances)}</td><td class="r">${whole(m.commits)}</td>
            <td class="r">${m.commit_failures ? html`<span class="bad">${whole(m.commit_failures)}</span>` : "0"}</td>
          </tr>`,
        )}</tbody>
      </table>
    </div>
  </section>`;

const KINDS = { failed: "bad", parked: "bad", problem: "bad", ended: "warn", skipped: "warn", solved: "ok", started: "ok" };

const Events = ({ events }) => html`<section aria-label="Events">
  <div class="heading"><h2>Events</h2><span class="muted">the last 200</span></div>
  <div class="panel">
    ${events.length === 0
      ? html`<${Empty}>Nothing has happened since this page's process started.<//>`
      : html`<div class="events" tabindex="0" role="region" aria-label="Events, newest first"><ul>${events.map(
          (e) => html`<li key=${e.number}><span class="mono muted">${clock(e.time)}</span><${Dot} kind=${KINDS[e.kind] || ""} /><span><${Sentence} text=${e.text} /></span></li>`,
        )}</ul></div>`}
  </div>
</section>`;

const Settings = ({ data }) => html`<section aria-label="Versions and settings">
  <div class="heading"><h2>Versions and settings</h2><span class="muted">only those that are no secret</span></div>
  <div class="panel">
    <dl class="kv">${Object.entries(data.versions).map(([name, value]) => html`<dt key=${name}>${name}</dt><dd class="mono">${value}</dd>`)}</dl>
  </div>
  ${data.settings.map(
    (client, i) => html`<details class="panel settings" key=${i}>
      <summary>${client.client} ${client.functions.map((f) => html`<code>${f}</code> `)}</summary>
      <dl class="kv">${Object.entries(client.settings).map(([name, value]) => html`<dt key=${name} class="mono">${name}</dt><dd class="mono">${String(value)}</dd>`)}</dl>
    </details>`,
  )}
</section>`;
