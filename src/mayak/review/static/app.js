// The page: header, views and keys.

import { render as draw } from "./vendor/preact.js";
import { useEffect, useRef } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import {
  VIEWS, attempt, blur, boot, filters, go, grey, html, language, notice, number, plain, query, render,
  t, tell, theme, view,
} from "./core.js";
import { Question, actions } from "./deciding.js";
import { cellAt, expand, look, moveTo, nextOpen, reading, result, selected, skip, status, unselect, waitForCase } from "./result.js";
import { Bar, Search, Side, drawer } from "./filters.js";
import { Grid, arrow, selectAll } from "./grid.js";
import { Keyboard, MOVING, REPEATING } from "./keys.js";
import { Map } from "./map.js";
import { Button } from "./parts.js";
import { Sample, judging, leave } from "./sample.js";
import { Viewer, straighten, turn, zoom } from "./viewer.js";
import { Rejected, Timeline } from "./views.js";
import { WORDS } from "./words.js";

const help = signal(false);
const opened = () => query.peek().open === "1" && view.peek() === "images";

/** The language to which the button in the header switches. */
const another = () => boot.languages[(boot.languages.indexOf(language.value) + 1) % boot.languages.length];
const inItself = (code) => new Intl.DisplayNames([code], { type: "language" }).of(code);

function Head() {
  const now = status.value;
  return html`<header class="head">
    <a class="home" href="/" title=${plain(boot.case)} onClick=${(event) => {
      event.preventDefault();
      go(Object.fromEntries(Object.keys(query.peek()).map((key) => [key, null])));
    }}><img src="/static/icon.svg" alt="" width="22" height="22" /><b>mayak</b><bdi class="soft">${plain(boot.case)}</bdi></a>
    <nav aria-label=${t("views")}>${VIEWS.map(
      (name) => html`<a href=${name === "images" ? "/" : `?view=${name}`} aria-current=${view.value === name ? "page" : undefined}
        onClick=${(event) => {
          event.preventDefault();
          go({ view: name === "images" ? null : name, open: null });
        }}>${t(name)}${name === "rejected" && now && html`<span class="figure">${number(now.failures + now.exclusions)}</span>`}</a>`,
    )}</nav>
    <${Search} />
    ${now && html`<span class="progress" title=${t("progress", now.decided, now.contents)}>
      <span class="track"><i style=${{ width: `${(100 * now.decided) / Math.max(now.contents, 1)}%` }}></i></span>
      <span class="figure">${t("progress", now.decided, now.contents)}</span></span>`}
    <span class="controls">
      <${Button} icon="undo" label=${`${t("undo")} (Backspace)`} onClick=${() => actions.undo()} />
      <button type="button" class="wide" lang=${another()}
        onClick=${() => (language.value = another())}><span>${inItself(another())}</span></button>
      <${Button} icon="theme" label=${t("theme")} onClick=${() => (theme.value = dark() ? "light" : "dark")} />
      <${Button} icon="help" label=${`${t("keys")} (?)`} onClick=${() => (help.value = true)} />
    </span>
  </header>`;
}

const dark = () =>
  theme.peek() ? theme.peek() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

function Images() {
  const now = result.value;
  const none = Object.keys(filters.value).length === 0;
  return html`<main class="images">
    <${Side} />
    <div class="main"><${Bar} />
      ${now === null ? html`<p class="empty soft">${t("loading")}</p>` : now.shown === 0 ? html`<p class="empty soft">${none ? t("emptyCase") : t("nothing")}</p>` : html`<${Grid} />`}
    </div>
    ${now !== null && now.shown > 0 && query.value.open === "1" && html`<${Viewer} />`}
  </main>`;
}

function Help() {
  const box = useRef(null);
  useEffect(() => {
    box.current.showModal();
  }, []);
  return html`<dialog class="help" ref=${box} onClose=${() => (help.value = false)} aria-label=${t("keys")}
      onClick=${(event) => event.target === box.current && box.current.close()}>
    <div><h2>${t("keys")}</h2>
      <dl>${WORDS.help.map(([keys, what]) => html`<dt>${keys.split(" ").filter(Boolean).map((key) => (key === "+" && keys.includes("Shift") ? "+ " : html`<kbd>${key}</kbd> `))}</dt><dd>${render(what)}</dd>`)}</dl>
      <p class="soft">${t("mouse")}</p>
      <p class="soft">${t("reviewer")}: <bdi>${plain(boot.reviewer)}</bdi></p>
      <button type="button" class="wide" onClick=${() => box.current.close()}><span>${t("close")}</span></button>
    </div></dialog>`;
}

function Notice() {
  const now = notice.value;
  return html`<div class=${`notice ${now ? "shown" : ""}`} role="status" aria-live="polite">
    ${now && html`<span>${now.text}</span>${now.action && html`<button type="button" onClick=${() => {
      notice.value = null;
      now.action[1]();
    }}>${now.action[0]}</button>`}`}</div>`;
}

function Reading() {
  const { read, rows } = reading.value;
  return html`<p class="reading" role="progressbar" aria-label=${t("readingCase")} aria-valuemin="0" aria-valuemax=${rows}
      aria-valuenow=${read}><span>${t("readingRows", read, rows)}</span>
    <span class="track"><i style=${{ width: `${(100 * read) / Math.max(rows, 1)}%` }}></i></span></p>`;
}

const Foot = () =>
  html`<footer class="keys" aria-hidden="true">
    <span><kbd>0</kbd>–<kbd>3</kbd> ${t("decide")}</span><span><kbd>Space</kbd> ${t("skip")}</span>
    <span><kbd>⌫</kbd> ${t("undo")}</span><span><kbd>Enter</kbd> ${t("details")}</span>
    <span><kbd>n</kbd> ${t("nextOpen")}</span><span><kbd>e</kbd> ${t("expand")}</span>
    <span><kbd>b</kbd> ${t("blur")}</span><span><kbd>g</kbd> ${t("grey")}</span><span><kbd>?</kbd> ${t("keys")}</span>
  </footer>`;

const PAGES = { rejected: Rejected, time: Timeline, map: Map, sample: Sample };

function ReviewPage() {
  const Other = PAGES[view.value];
  return html`<${Head} />${reading.value && html`<${Reading} />`}${Other ? html`<main class="other"><${Other} /></main>` : html`<${Images} />`}
    ${!Other && html`<${Foot} />`}<${Notice} /><${Question} />${help.value && html`<${Help} />`}`;
}

// ---------------------------------------------------------------- keys

const COMMON = {
  b: () => (blur.value = !blur.peek()),
  g: () => (grey.value = !grey.peek()),
  "?": () => (help.value = true),
  "/": () => document.getElementById("search")?.focus(),
};

const IMAGES = {
  " ": skip,
  Backspace: () => actions.undo(),
  n: nextOpen,
  e: expand,
  Enter: () => (opened() ? go({ open: null }) : go({ open: "1", at: cellAt(actions.position)?.sha256 ?? null })),
  Escape: () => {
    if (drawer.peek()) drawer.value = false;
    else if (opened()) go({ open: null });
    else if (selected.peek().size) unselect();
  },
};

const VIEWER = {
  r: () => turn(90),
  R: () => turn(-90),
  "+": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  f: straighten,
  ArrowLeft: () => moveTo(actions.position - 1),
  ArrowUp: () => moveTo(actions.position - 1),
  ArrowRight: () => moveTo(actions.position + 1),
  ArrowDown: () => moveTo(actions.position + 1),
};

const SAMPLE = {
  Backspace: () => actions.undo(),
  ArrowRight: () => actions.move(actions.position + 1),
  ArrowLeft: () => actions.move(actions.position - 1),
  " ": () => actions.move(actions.position + 1),
  Escape: leave,
};

/** Whether a digit decides: not with the focus on a filter's button, nor without a focus. */
const DECIDING = "#grid, .viewer, .judging";

const keyboard = new Keyboard();
addEventListener("keyup", (event) => keyboard.release(event));
addEventListener("blur", () => keyboard.clear());

addEventListener("keydown", (event) => {
  const { key, repeated } = keyboard.press(event);
  const typing = event.target.closest?.("input:not([type=file]), select, textarea");
  if (typing) {
    if (key === "Escape") focusGrid();
    return;
  }
  const pressing = event.target.closest?.("button, a, summary, [role=button]");
  if (pressing && repeated && key === "Enter") event.preventDefault();
  if (document.querySelector("dialog[open]") || event.isComposing || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if ((key === "a" || event.key === "a") && view.peek() === "images" && !opened() && result.peek()) {
      if (!repeated) selectAll();
      event.preventDefault();
    }
    return;
  }
  if (pressing && (key === "Enter" || key === " ")) return;
  const done = carryOut(key, event, repeated && !REPEATING.has(key));
  if (done) event.preventDefault();
});

/** Handle a key; returns whether it has a function. A key that is `held` does nothing. */
function carryOut(key, event, held) {
  const images = view.peek() === "images" && result.peek()?.shown;
  if (/^[0-3]$/.test(key)) {
    if (!images && !judging.peek()) return false;
    if (held) return true;
    if (event.target.closest?.(DECIDING)) actions.decide(Number(key));
    else tell(t("noFocus"));
    return true;
  }
  if (images && !opened() && MOVING.has(key)) {
    // Moving in the grid also moves the focus to it.
    if (!event.target.closest?.("#grid")) focusGrid();
    return arrow(key, event.shiftKey);
  }
  const keys = judging.peek() ? SAMPLE : images ? { ...IMAGES, ...(opened() ? VIEWER : {}) } : {};
  const work = COMMON[key] ?? keys[key];
  if (!work) return false;
  if (!held) work();
  return true;
}

function focusGrid() {
  const grid = document.getElementById("grid");
  if (grid) grid.focus({ preventScroll: true });
  else document.activeElement?.blur();
}

draw(html`<${ReviewPage} />`, document.getElementById("page"));
attempt(waitForCase());
look(0);
