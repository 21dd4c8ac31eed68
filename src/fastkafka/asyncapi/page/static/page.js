// Conveniences only: the page is complete without them.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");

const THEMES = ["auto", "light", "dark"];

function storedTheme() {
  try {
    const theme = localStorage.getItem("theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // a browser that keeps nothing for files
  }
}

function useTheme(theme) {
  root.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // then it lasts until the page is closed
  }
}

useTheme(storedTheme()); // before the first paint


addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  const label = () => { button.textContent = `Theme: ${root.dataset.theme}`; };
  button.addEventListener("click", () => {
    useTheme(THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length]);
    label();
  });
  label();

  const contents = document.querySelector(".side details");
  const narrow = matchMedia("(max-width: 760px)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();

  const filter = document.querySelector(".side input");
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const item of document.querySelectorAll(".side li")) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
    }
    for (const heading of document.querySelectorAll(".side h2")) {
      heading.hidden = !heading.nextElementSibling.querySelector("li:not([hidden])");
    }
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    contents.open = true;
    filter.focus();
  });

  const links = new Map();
  for (const link of document.querySelectorAll(".side li a")) {
    links.set(decodeURIComponent(link.hash.slice(1)), link);
    link.addEventListener("click", () => { contents.open = !narrow.matches; });
  }
  const shown = new Set();
  const watcher = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) shown.add(target.id); else shown.delete(target.id);
    }
    const current = [...links.keys()].find((id) => shown.has(id));
    if (!current) return;
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-24px 0px -60% 0px" });
  for (const id of links.keys()) {
    const target = document.getElementById(id);
    if (target) watcher.observe(target);
  }
});
