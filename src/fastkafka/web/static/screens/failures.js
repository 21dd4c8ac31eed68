// What is parked, grouped by its cause, and back it goes.

import { useRef, useState } from "preact/hooks";
import { Spark } from "../charts.js";
import { ago, plural, whole } from "../format.js";
import { address } from "../server.js";
import { app, link, place, remember } from "../store.js";
import { Empty, Loading, Problem, Sentence, Tabs, html, useServer } from "../ui.js";
import { Facts, Raw, Value } from "./record.js";
import { Job, Replay, useJobs } from "./replay.js";

export function Failures() {
  const { data, error, reload } = useServer("failures", 5);
  const title = html`<h1>Failures</h1>`;
  const jobs = useJobs(reload);
  if (error && !data) return html`${title}<${Problem} error=${error} retry=${reload} />`;
  if (!data) return html`${title}<${Loading}>Reading the dead-letter topics…<//>`;
  const chosen = data.groups.find((g) => g.id === place.value.query.group) || data.groups[0];
  return html`
    <div class="heading big">
      ${title}
      <span class="muted">
        ${plural(data.parked, "parked record")} in ${plural(data.topics, "dead-letter topic")}, grouped by error and place${data.parked > data.read && `; the newest ${whole(data.read)} are shown`}
      </span>
      <span class="grow"></span>
      ${app.value.can.replay && data.groups.length > 1 && html`<${Replay} label=${`Replay all ${whole(data.read)}…`} wish=${{}} jobs=${jobs} />`}
    </div>
    ${error && html`<${Problem} error=${error} retry=${reload} />`}
    ${jobs.error && html`<${Problem} error=${jobs.error} />`}
    ${jobs.all.map((job) => html`<${Job} key=${job.id} job=${job} jobs=${jobs} />`)}
    ${data.groups.length === 0
      ? html`<div class="panel"><${Empty}>Nothing is parked. A record that cannot be decoded, or whose handler raises until its attempts are used up, appears here.<//></div>`
      : html`<div class="split open wide">
          <${Groups} groups=${data.groups} chosen=${chosen} />
          <${Detail} key=${chosen.id} group=${chosen} jobs=${jobs} />
        </div>`}
  `;
}

function Groups({ groups, chosen }) {
  return html`<div class="panel">
    <ul class="groups" aria-label="Causes">
      ${groups.map(
        (g) => html`<li key=${g.id}>
          <button type="button" aria-pressed=${g === chosen} onClick=${() => remember({ group: g.id, letter: null })}>
            <span><b class="cut">${g.kind}</b><span class="grow"></span><${Spark} data=${g.spark} width=${72} height=${16} kind="bad" /><span class="count">${whole(g.count)}</span></span>
            <span class="said">${g.message || "no message"}</span>
            <span class="where"><span class="cut"><code>${g.function || g.topic}</code>${g.at ? html`, <code>${g.at}</code>` : ", decoding"}</span><span class="grow"></span>${ago(g.last)}</span>
          </button>
        </li>`,
      )}
    </ul>
  </div>`;
}

function Detail({ group, jobs }) {
  const { data, error, reload } = useServer(address(["failures", group.id]), 5);
  const letter = data?.records.find((r) => `${r.partition}:${r.offset}` === place.value.query.letter) || data?.records[0];
  const may = app.value.can.replay;
  return html`<section class="panel detail" aria-label=${group.kind}>
    <header>
      <h2>${group.kind}</h2>
      <span class="muted">${plural(group.count, "record")} · first ${ago(group.first)} · last ${ago(group.last)}</span>
      <span class="grow"></span>
      ${may &&
      html`<${Confirm} label="Dismiss…" question=${`Dismiss ${plural(group.count, "record")}? They stay in ${group.topic}, but no longer count as parked.`} action=${() => jobs.start({ group: group.id, action: "dismiss" })} />
        ${letter && html`<${Replay} label="Replay one…" wish=${{ records: [{ topic: group.topic, partition: letter.partition, offset: letter.offset }] }} jobs=${jobs} />`}
        <${Replay} label=${`Replay ${whole(group.count)}…`} kind="primary" wish=${{ group: group.id }} jobs=${jobs} />`}
    </header>
    ${error && html`<${Problem} error=${error} retry=${reload} />`}
    ${!data && !error && html`<${Loading}>Reading the records…<//>`}
    ${data &&
    html`
      <p class="fit bad"><${Sentence} text=${data.message || data.error} /></p>
      ${data.trace && html`<h3>Traceback</h3><${Traceback} text=${data.trace} />`}
      <h3>Records</h3>
      <div class="cols">
        <${Letters} records=${data.records} chosen=${letter} count=${data.count} />
        ${letter && html`<${Letter} key=${`${letter.partition}:${letter.offset}`} letter=${letter} />`}
      </div>
    `}
  </section>`;
}

const LIBRARY = /site-packages|dist-packages|\/lib\/python|<frozen|\/fastkafka\//;

/** A traceback; what is not a library's stands out. */
function Traceback({ text }) {
  const lines = text.trimEnd().split("\n");
  let own = false;
  return html`<pre class="traceback" tabindex="0" role="region" aria-label="Traceback">${lines.map((line, i) => {
    if (/^\s+File "/.test(line)) own = !LIBRARY.test(line);
    else if (!/^\s/.test(line)) own = false;
    const kind = i === lines.length - 1 ? "bad" : own ? "own" : "";
    return html`<span key=${i} class=${kind}>${line}${"\n"}</span>`;
  })}</pre>`;
}

function Letters({ records, chosen, count }) {
  return html`<ul class="records" aria-label="Parked records">
    ${records.map((r) => {
      const from = r.original.topic ? `${r.original.topic}[${r.original.partition}]@${r.original.offset}` : `${r.topic}[${r.partition}]@${r.offset}`;
      return html`<li key=${`${r.partition}:${r.offset}`}>
        <button type="button" aria-pressed=${r === chosen} onClick=${() => remember({ letter: `${r.partition}:${r.offset}` })}>
          <span class="mono cut">${from}</span><span class="muted mono cut">${r.key ?? ""}</span>
          <span class="muted">${ago(r.timestamp)}</span>
        </button>
      </li>`;
    })}
    ${count > records.length && html`<li class="muted pad">and ${whole(count - records.length)} older ones</li>`}
  </ul>`;
}

function Letter({ letter }) {
  const [tab, setTab] = useState("Decoded");
  return html`<div>
    <${Tabs} names=${["Decoded", "Raw bytes", "Headers"]} selected=${tab} onSelect=${setTab} label="Record" />
    <div role="tabpanel" aria-label=${tab}>
      ${tab === "Decoded" && html`${letter.error && html`<p class="fit bad"><${Sentence} text=${letter.error} /></p>`}<${Value} record=${letter} />`}
      ${tab === "Raw bytes" && html`<${Raw} record=${letter} />`}
      ${tab === "Headers" && html`<${Facts} record=${letter} />`}
    </div>
    <p class="muted pad-0">
      ${letter.attempts != null && `${plural(letter.attempts, "attempt")} · `}${letter.family && `headers of ${letter.family} · `}
      in <a href=${link("topics", letter.topic, { record: `${letter.partition}:${letter.offset}` })}><code>${letter.topic}[${letter.partition}]@${letter.offset}</code></a>
    </p>
  </div>`;
}

function Confirm({ label, question, action }) {
  const dialog = useRef();
  return html`<button type="button" class="quiet" onClick=${() => dialog.current.showModal()}>${label}</button>
    <dialog ref=${dialog} aria-label=${label}>
      <p>${question}</p>
      <form method="dialog" class="actions">
        <button class="primary" onClick=${action}>Yes</button>
        <button>No</button>
      </form>
    </dialog>`;
}
