// Small pieces that all screens share.

import { h } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import htm from "htm";
import { coloured } from "./json.js";
import { get } from "./server.js";
import { live } from "./store.js";

/** A template that makes elements; what is put into it is text. */
export const html = htm.bind(h);

/** A sentence of the server's; what is in `backticks` is code. */
export function Sentence({ text }) {
  return text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}

/** JSON as text, coloured by its tokens. */
export function Json({ text, label = "Value" }) {
  const pieces = text.length > 200000 ? [["", text]] : [...coloured(text)];
  return html`<pre class="json" tabindex="0" role="region" aria-label=${label}>
${pieces.map(([kind, piece]) => (kind ? html`<span class=${kind}>${piece}</span>` : piece))}</pre>`;
}

export const Loading = ({ children }) =>
  html`<p class="empty" role="status" aria-busy="true">${children}</p>`;

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

/** What went wrong, in the server's words, and another try. */
export function Problem({ error, retry }) {
  return html`<div class="problem" role="alert">
    <p><span class="dot bad"></span><${Sentence} text=${error.message} /></p>
    ${retry && html`<button type="button" onClick=${retry}>Retry</button>`}
  </div>`;
}

export const Dot = ({ kind }) => html`<span class=${`dot ${kind}`}></span>`;

/**
 * What the server says at a path, and again every so often while the page is live.
 * @returns {{data: any, error: Error | null, reload: () => void}}
 */
export function useServer(path, seconds = 0) {
  const [state, setState] = useState({ path, data: null, error: null });
  const current = useRef(path);
  current.current = path;
  const load = useCallback(async () => {
    if (path == null) return;
    try {
      const data = await get(path);
      if (current.current === path) setState({ path, data, error: null });
    } catch (error) {
      if (current.current === path) setState((old) => ({ ...old, path, error }));
    }
  }, [path]);
  useEffect(() => {
    load();
    if (!seconds) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden && live.value) load();
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [load, seconds]);
  const stale = state.path !== path;
  return { data: stale ? null : state.data, error: stale ? null : state.error, reload: load };
}

/** Tabs, with the arrow keys as everybody expects them. */
export function Tabs({ names, selected, onSelect, label }) {
  const bar = useRef();
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (names.indexOf(selected) + step + names.length) % names.length;
    onSelect(names[next]);
    bar.current.children[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${bar} onKeyDown=${move}>
    ${names.map(
      (name) => html`<button
        type="button"
        role="tab"
        key=${name}
        aria-selected=${name === selected}
        tabindex=${name === selected ? 0 : -1}
        onClick=${() => onSelect(name)}
      >
        ${name}
      </button>`,
    )}
  </div>`;
}

/** Whether somebody is typing, so that a key is a letter. */
export const isTyping = (element) =>
  element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
