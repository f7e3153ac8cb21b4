// Keys, live numbers, dark and light. Every page works without this file; nothing here makes HTML of its own.
"use strict";

const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
  all[next].focus();
  all[next].scrollIntoView({ block: "nearest" });
}

function press(selector) {
  const found = document.querySelector(selector);
  if (found) found.click();
  return Boolean(found);
}

function turn() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("iterpref-theme", root.dataset.theme);
  } catch {
    // it holds for this page
  }
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  t: turn,
  "/": () => focus("[data-search]"),
  n: () => focus("[data-note]"),
  a: () => press('[data-press="a"]'),
  r: () => press('[data-press="r"]'),
  u: () => press('[data-press="u"]'),
  ArrowLeft: () => press('[data-key="ArrowLeft"]'),
  ArrowRight: () => press('[data-key="ArrowRight"]'),
};

function focus(selector) {
  const found = document.querySelector(selector);
  if (found) found.focus();
  return Boolean(found);
}

// In these, keys are text or move within what is focused: wide code is scrolled with arrows.
const isTyping = (at) => at.matches("input:not([type=checkbox]), select, textarea");
const scrolls = (at) => at.scrollWidth > at.clientWidth && at.tabIndex >= 0 && at !== document.body;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (event.key === "Escape" && at.blur) at.blur();
  const act = KEYS[event.key];
  if (!act || isTyping(at) || (event.key.startsWith("Arrow") && scrolls(at))) return;
  if (act() !== false) event.preventDefault();
});

document.getElementById("theme").addEventListener("click", turn);

function tellTimes() {
  for (const time of document.querySelectorAll("time[data-time]")) {
    const at = new Date(Number(time.dataset.time) * 1000);
    time.textContent = at.toLocaleString();
    time.dateTime = at.toISOString();
  }
}
tellTimes();

const live = document.getElementById("live");
if (live) {
  const state = document.getElementById("state");
  const events = new EventSource(live.dataset.events);
  events.onopen = () => (state.textContent = "live");
  events.onerror = () => (state.textContent = "connection lost; trying again");
  events.onmessage = (event) => {
    // The server's own page part, escaped there; focus inside stays where it was.
    const focused = rows().indexOf(document.activeElement);
    const part = new DOMParser().parseFromString(event.data, "text/html");
    live.replaceChildren(...part.body.childNodes);
    if (focused >= 0 && rows()[focused]) rows()[focused].focus();
    tellTimes();
  };
}
