// Keys. Single letters can be switched off, for those who speak or slip.

import { signal } from "@preact/signals";
import { isTyping } from "./ui.js";

export const singleKeys = signal(localStorage.getItem("fastkafka.keys") !== "off");
export const helpOpen = signal(false);

singleKeys.subscribe((on) => localStorage.setItem("fastkafka.keys", on ? "on" : "off"));

const bindings = new Map();

/** Bind a key; returns how to unbind it. */
export function bind(key, action) {
  bindings.set(key, action);
  return () => bindings.get(key) === action && bindings.delete(key);
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const escape = event.key === "Escape";
  if (isTyping(event.target) && !escape) return;
  if (event.key.length === 1 && !singleKeys.value && event.key !== "?") return;
  if (document.querySelector("dialog[open]")) return;
  const action = bindings.get(event.key);
  if (!action) return;
  event.preventDefault();
  action(event);
});
