// Replays: what would be sent where, at which rate, and how far it is.

import { useEffect, useRef, useState } from "preact/hooks";
import { duration, plural, whole } from "../format.js";
import { address, get, post, remove } from "../server.js";
import { Loading, Problem, Sentence, html } from "../ui.js";

const RATE = 100;
const FASTEST = 10000;

/** A button, and the dialog that says what it would do, before it does. */
export function Replay({ label, wish, jobs, kind = "" }) {
  const dialog = useRef();
  const [wanted, setWanted] = useState(null);
  const open = () => {
    setWanted(wish);
    dialog.current.showModal();
  };
  return html`<button type="button" class=${kind} onClick=${open}>${label}</button>
    <dialog class="replay" ref=${dialog} aria-label="Replay" onClose=${() => setWanted(null)}>
      ${wanted && html`<${Preview} wish=${wanted} jobs=${jobs} close=${() => dialog.current.close()} />`}
    </dialog>`;
}

function Preview({ wish, jobs, close }) {
  const [{ data, error }, setState] = useState({});
  const [rate, setRate] = useState(String(RATE));
  const load = () => {
    setState({});
    post("replays", { ...wish, check_only: true }).then(
      (found) => setState({ data: found }),
      (problem) => setState({ error: problem }),
    );
  };
  useEffect(load, []);
  const submit = () => jobs.start({ ...wish, rate: Number(rate) });
  const seconds = data && data.total / Number(rate);
  return html`<form method="dialog" onSubmit=${submit}>
    <h2>Replay ${data && plural(data.total, "record")}</h2>
    ${error && html`<${Problem} error=${error} retry=${load} />`}
    ${!data && !error && html`<${Loading}>Reading the records…<//>`}
    ${data &&
    html`
      <ul class="prose small" aria-label="Where they go">
        ${data.to.map((to) => html`<li key=${to.topic}>${plural(to.records, "record")} to <code>${to.topic}</code></li>`)}
      </ul>
      <h3>${data.total > data.first.length ? `The first ${data.first.length}` : "These"}, with their own bytes</h3>
      <ul class="previews" tabindex="0" aria-label="What is sent">
        ${data.first.map(
          (record) => html`<li key=${`${record.from.topic}[${record.from.partition}]@${record.from.offset}`}>
            <span class="mono">${place(record.from)} → ${place(record.to)}</span> <span class="muted mono">${record.key ?? "no key"}</span>
            <code class="cut">${record.value ?? "tombstone"}</code>
          </li>`,
        )}
      </ul>
      <p class="rate">
        <label class="check">Records per second
          <input type="number" min="0.1" max=${FASTEST} step="any" required value=${rate} onInput=${(e) => setRate(e.target.value)} />
        </label>
        <span class="muted">${seconds < 1 ? "takes a moment" : Number.isFinite(seconds) ? `takes ${duration(seconds)}` : ""}</span>
      </p>
    `}
    <p class="actions">
      <button class="primary" disabled=${!data}>${data ? `Replay ${whole(data.total)}` : "Replay"}</button>
      <button type="button" onClick=${close}>Cancel</button>
    </p>
  </form>`;
}

const place = ({ topic, partition, offset }) =>
  `${topic}${partition == null ? "" : `[${partition}]`}${offset == null ? "" : `@${offset}`}`;

const STATES = { running: "Replaying", waiting: "Replayed", done: "Replayed", stopped: "Stopped after", failed: "Failed after" };

export function Job({ job, jobs }) {
  const dismissed = job.action === "dismiss";
  const verb = dismissed && job.state === "done" ? "Dismissed" : STATES[job.state];
  const open = job.state === "running" || job.state === "waiting";
  return html`<div class="job panel">
    <div class="row" role="status">
      <b>${verb} ${whole(job.sent)} of ${whole(job.total)}</b>
      <span class="muted">${job.topics.join(", ")}${!dismissed && `, ${job.rate}/s`}</span>
      <span class="grow"></span>
      ${!dismissed &&
      html`<span class="muted">${whole(job.handled)} handled${job.parked > 0 && html` · <span class="bad">${whole(job.parked)} parked again</span>`}${job.refused > 0 && html` · <span class="bad">${whole(job.refused)} refused</span>`}</span>`}
      ${job.state === "running"
        ? html`<button type="button" class="quiet" onClick=${() => jobs.stop(job.id)}>Stop</button>`
        : !open && html`<button type="button" class="quiet" onClick=${() => jobs.hide(job.id)}>Close</button>`}
    </div>
    ${job.error && html`<p class="bad"><${Sentence} text=${job.error} /></p>`}
    <progress max=${job.total} value=${job.sent} aria-label="Replay"></progress>
  </div>`;
}

/** The replays, followed while they run. */
export function useJobs(changed) {
  const [all, setAll] = useState([]);
  const [hidden, setHidden] = useState(() => new Set());
  const [error, setError] = useState(null);
  const load = async () => {
    try {
      setAll((await get("replays")).replays);
    } catch (problem) {
      setError(problem);
    }
  };
  const doing = async (action) => {
    try {
      setError(null);
      await action();
      await load();
      changed();
    } catch (problem) {
      setError(problem);
    }
  };
  const running = all.some((job) => job.state === "running" || job.state === "waiting");
  useEffect(() => {
    load();
    if (!running) {
      changed();
      return undefined;
    }
    const timer = setInterval(load, 500);
    return () => clearInterval(timer);
  }, [running]);
  const recent = (job) => !hidden.has(job.id) && Date.now() / 1000 - job.started < 600;
  return {
    all: all.filter(recent).slice(0, 3),
    error,
    start: (wish) => doing(() => post("replays", wish)),
    stop: (id) => doing(() => remove(address(["replays", id]))),
    hide: (id) => setHidden((old) => new Set(old).add(id)),
  };
}
