// The frame round all screens: navigation, the state of the connection, theme, keys.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { number, perSecond, plural } from "./format.js";
import { bind, helpOpen, singleKeys } from "./keys.js";
import { Failures } from "./screens/failures.js";
import { Functions } from "./screens/functions.js";
import { Health } from "./screens/health.js";
import { Lag } from "./screens/lag.js";
import { Overview } from "./screens/overview.js";
import { Topic } from "./screens/topic.js";
import { app, begin, connection, link, live, login, numbers, place, refused, tick } from "./store.js";
import { Problem, html } from "./ui.js";

const SCREENS = {
  overview: ["Overview", Overview],
  functions: ["Functions", Functions],
  failures: ["Failures", Failures],
  lag: ["Lag", Lag],
  health: ["Health", Health],
};

const THEMES = ["auto", "light", "dark"];
const theme = signal(THEMES.includes(localStorage.getItem("fastkafka.theme")) ? localStorage.getItem("fastkafka.theme") : "auto");
theme.subscribe((name) => {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("fastkafka.theme", name);
});

bind("p", () => (live.value = !live.value));
bind("?", () => (helpOpen.value = true));
bind("/", () => document.querySelector("input[type=search]")?.focus());

function Page() {
  if (refused.value) return html`<${Refused} error=${refused.value} />`;
  if (!app.value) return html`<main class="loading" role="status" aria-busy="true">Connecting…</main>`;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to content</a>
    <${Side} />
    <div class=${`page ${connection.value === "lost" ? "stale" : ""}`}>
      <${Top} />
      <${Main} />
    </div>
    <${Help} />
  `;
}

function toMain(event) {
  event.preventDefault(); // the fragment says which screen it is
  document.getElementById("main").focus();
}

function Side() {
  const shape = app.value;
  const { screen, name } = place.value;
  const parked = tick.value?.totals.parked || tick.value?.totals.parked_15m || 0;
  const item = (to, label, extra, current) =>
    html`<li key=${to}><a href=${to} aria-current=${current ? "page" : null}><span class="name">${label}</span>${extra}</a></li>`;
  const [menu, setMenu] = useState(false);
  return html`<aside class=${`side ${menu ? "open" : ""}`}>
    <div class="brand">
      <img src="static/icon.svg" width="18" height="18" alt="" />
      <div><strong>${shape.title}</strong><span>${shape.version || `FastKafka ${shape.fastkafka}`}</span></div>
      <button type="button" class="menu quiet" aria-expanded=${menu} aria-controls="nav" onClick=${() => setMenu(!menu)}>Menu</button>
    </div>
    <nav id="nav" aria-label="Screens" onClick=${() => setMenu(false)}>
      <ul>
        ${Object.entries(SCREENS).map(([to, [label]]) =>
          item(
            link(to),
            label,
            to === "failures" && parked > 0 && html`<span class="count">${number(parked)}</span>`,
            screen === to,
          ),
        )}
        <li><a href="docs">Document</a></li>
      </ul>
      <h2>Topics</h2>
      <ul>
        ${shape.topics.map((topic) =>
          item(
            link("topics", topic.name),
            topic.name,
            html`<span class="muted">${perSecond(numbers.value.topics.get(topic.name)?.rate)}</span>`,
            screen === "topics" && name === topic.name,
          ),
        )}
      </ul>
      ${shape.topics.length === 0 && html`<p class="muted">none declared</p>`}
    </nav>
    <footer>
      ${shape.cluster && html`<span>${shape.cluster}</span>`}
      ${shape.group && html`<span>group <code>${shape.group}</code></span>`}
    </footer>
  </aside>`;
}

function Top() {
  const shape = app.value;
  const totals = tick.value?.totals;
  return html`<header class="top">
    <${State} totals=${totals} />
    <span class="muted facts">
      ${totals && `${plural(totals.workers, "worker")} · `}${plural(shape.functions.length, "function")} · ${plural(shape.topics.length, "topic")}
    </span>
    <span class="grow"></span>
    ${shape.mode === "dev" && html`<span class="tag">dev</span>`}
    <button type="button" class="quiet" aria-pressed=${!live.value} onClick=${() => (live.value = !live.value)}>
      ${live.value ? "Pause" : "Resume"} <kbd>P</kbd>
    </button>
    <button type="button" class="quiet" onClick=${() => (theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % 3])}>
      Theme: ${theme.value}
    </button>
    <button type="button" class="quiet" aria-label="Keys" onClick=${() => (helpOpen.value = true)}><kbd>?</kbd></button>
  </header>`;
}

function State({ totals }) {
  const [kind, text, to] = stateOf(totals);
  const at = connection.value === "lost" && tick.value && new Date(tick.value.t * 1000).toLocaleTimeString();
  return html`<span role="status">
    ${to ? html`<a class=${`badge ${kind}`} href=${to}>${text}</a>` : html`<span class=${`badge ${kind}`}>${text}</span>`}
    ${at && html`<span class="muted"> last ${at}</span>`}
  </span>`;
}

function stateOf(totals) {
  if (connection.value === "lost") return ["bad", "No connection"];
  if (app.value.broken) return ["bad", "Cannot be imported", link("overview")];
  if (!totals || totals.workers === 0) return ["warn", "Starting", link("health")];
  if (!totals.ready) return ["bad", "Not ready", link("health")];
  return ["ok", connection.value === "polling" ? "Ready, every 5 s" : "Ready"];
}

function Main() {
  const { screen, name } = place.value;
  const main = useRef();
  const was = useRef(`${screen}/${name}`);
  useEffect(() => {
    const now = `${screen}/${name}`;
    if (was.current !== now) {
      was.current = now;
      main.current.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [screen, name]);
  let body;
  if (screen === "topics") body = html`<${Topic} key=${name} name=${name} />`;
  else if (SCREENS[screen]) body = html`<${SCREENS[screen][1]} key=${screen} name=${name} />`;
  else body = html`<p class="empty">There is no screen of this name. <a href=${link("overview")}>Overview</a></p>`;
  return html`<main id="main" tabindex="-1" ref=${main}>${body}</main>`;
}

function Help() {
  const dialog = useRef();
  const open = helpOpen.value;
  useEffect(() => {
    if (open && !dialog.current.open) dialog.current.showModal();
    else if (!open) dialog.current.close();
  }, [open]);
  const keys = [
    ["/", "Find"],
    ["P", "Pause and go on"],
    ["S", "Send a message"],
    ["↑ ↓", "Another record"],
    ["Enter", "Open it"],
    ["Esc", "Close it"],
    ["?", "This"],
  ];
  return html`<dialog ref=${dialog} aria-labelledby="keys" onClose=${() => (helpOpen.value = false)}>
    <h2 id="keys">Keys</h2>
    <dl class="kv">${keys.map(([key, what]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <label class="check"><input type="checkbox" checked=${singleKeys.value} onChange=${(e) => (singleKeys.value = e.target.checked)} /> Single keys</label>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;
}

function Refused({ error }) {
  const [token, setToken] = useState("");
  const [failed, setFailed] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    await login(token).catch(setFailed);
  };
  return html`<main class="refused" id="main" tabindex="-1">
    <h1>FastKafka</h1>
    <${Problem} error=${failed || error} retry=${error.status === 401 ? null : () => location.reload()} />
    ${error.status === 401 &&
    html`<form onSubmit=${submit}>
      <label for="token">Token</label>
      <input id="token" type="password" autocomplete="current-password" value=${token} onInput=${(e) => setToken(e.target.value)} />
      <button class="primary" type="submit">Open</button>
    </form>`}
  </main>`;
}

const root = document.getElementById("root");
await begin();
root.replaceChildren();
render(html`<${Page} />`, root);
performance.mark("ready");
