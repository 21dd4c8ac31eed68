// What may be done to an app that runs: pause, resume, concurrency, seek.

import { useEffect, useRef, useState } from "preact/hooks";
import { plural } from "../format.js";
import { post } from "../server.js";
import { app } from "../store.js";
import { Problem, Sentence, html } from "../ui.js";

export const mayControl = () => app.value.can.control;

/** What asks for something, and a line that says what came of it. */
function useAsking(reload) {
  const [now, setNow] = useState({});
  const ask = async (wish) => {
    try {
      const answer = await post("control", wish);
      setNow(answer);
      reload();
      return answer;
    } catch (error) {
      setNow({ error });
      return null;
    }
  };
  return [ask, html`<p role="status" class="muted">${now.texts && html`<${Sentence} text=${now.texts.join(" ")} />`}</p>${now.error && html`<${Problem} error=${now.error} />`}`];
}

/** Where a function is paused. */
export function Paused({ now }) {
  const count = now?.paused_partitions.length;
  return (now?.paused || count > 0) && html` <span class="warn">paused${!now.paused && ` at ${plural(count, "partition")}`}</span>`;
}

const Button = ({ action, label, does }) => html`<button type="button" onClick=${does}>${action === "pause" ? "Pause" : "Resume"} ${label}</button>`;

/** The buttons of a function. */
export function FunctionControl({ now, reload }) {
  const [asking, said] = useAsking(reload);
  const ask = (action, more) => asking({ action, function: now.name, ...more });
  const set = (event) => {
    event.preventDefault();
    ask("concurrency", { concurrency: event.target.most.valueAsNumber });
  };
  return html`<form class="bar" onSubmit=${set}>
    ${!now.paused && html`<${Button} action="pause" label="function" does=${() => ask("pause")} />`}
    ${(now.paused || now.paused_partitions.length > 0) && html`<${Button} label="function" does=${() => ask("resume")} />`}
    ${now.order !== "partition" && html`<label>Concurrency of each worker <input name="most" type="number" min="1" max="100000" required key=${now.concurrency} defaultValue=${now.concurrency} /></label><button>Set</button>`}
    ${said}
  </form>`;
}

/** What may be done to one partition of a group, in a dialog. */
export function PartitionControl({ row, reload, close }) {
  const [asking, said] = useAsking(reload);
  const [shown, setShown] = useState(null);
  const dialog = useRef();
  const ask = (wish) => asking({ topic: row.topic, partition: row.partition, ...wish });
  const seek = (to, check_only) => ask({ action: "seek", group: row.group, to, check_only });
  const look = async (event) => {
    event.preventDefault();
    const to = event.target.to.value.trim();
    const time = /^\d+$/.test(to) ? NaN : Date.parse(to) / 1000;
    setShown(await seek(time ? `t${time}` : to, true));
  };
  useEffect(() => dialog.current.showModal(), []);
  const name = `${row.topic}[${row.partition}]`;
  return html`<dialog ref=${dialog} onClose=${close} aria-label=${`Control ${name}`}>
    <h2>${name} of ${row.group}</h2>
    ${row.functions.map((one) => {
      const action = row.paused_for.includes(one.name) ? "resume" : "pause";
      return html`<p class="bar">${one.paused ? `${one.name} is paused everywhere` : html`<${Button} action=${action} label=${`${one.name} here`} does=${() => ask({ action, function: one.name })} />`}</p>`;
    })}
    <form class="bar" onSubmit=${look}>
      <label>Seek to <input name="to" required placeholder="earliest, latest, 1042, 2026-11-25T20:30" onInput=${() => setShown(null)} /></label>
      <button>Show what it does</button>
    </form>
    ${shown &&
    html`<p role="alert">From ${shown.from ?? "–"} to ${shown.to}: <b>${shown.skipped ? `${plural(shown.skipped, "offset")} passed over` : `${plural(shown.repeated, "offset")} read again`}</b>.</p>
      <button type="button" class="primary" onClick=${() => seek(String(shown.to)).then(() => setShown(null))}>Seek to ${shown.to}</button>`}
    ${said}
    <form method="dialog" class="actions"><button>Close</button></form>
  </dialog>`;
}
