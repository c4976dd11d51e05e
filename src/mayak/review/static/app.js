// The page: its head, its views, its keys.

import { render } from "./vendor/preact.js";
import { useEffect, useRef } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import {
  attempt, blur, boot, filters, go, grey, html, language, notice, number, plain, query, t, theme, view,
} from "./core.js";
import { cursor, decide, expand, look, moveTo, nextOpen, reading, result, selected, skip, status, undo, unselect, cellAt, waitForCase } from "./desk.js";
import { Bar, Search, Side, drawer } from "./filters.js";
import { Grid, arrow, selectAll } from "./grid.js";
import { Map } from "./map.js";
import { Button, Icon } from "./parts.js";
import { Viewer, straighten, turn, zoom } from "./viewer.js";
import { Rejected, Sample, Timeline, judge, judgeMove, judgeUndo, judging, leave } from "./views.js";

const help = signal(false);
const VIEWS = ["images", "rejected", "time", "map", "sample"];
const opened = () => query.peek().open === "1" && view.peek() === "images";

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
      <${Button} icon="undo" label=${`${t("undo")} (Backspace)`} onClick=${undo} />
      <button type="button" class="wide" lang=${language.value === "ko" ? "en" : "ko"}
        onClick=${() => (language.value = language.value === "ko" ? "en" : "ko")}><span>${t("language")}</span></button>
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
    <div class="desk"><${Bar} />
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
      <dl>${t("help").map(([keys, what]) => html`<dt>${keys.split(" ").filter(Boolean).map((key) => (key === "+" && keys.includes("Shift") ? "+ " : html`<kbd>${key}</kbd> `))}</dt><dd>${what}</dd>`)}</dl>
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

function Desk() {
  const Other = PAGES[view.value];
  return html`<${Head} />${reading.value && html`<${Reading} />`}${Other ? html`<main class="other"><${Other} /></main>` : html`<${Images} />`}
    ${!Other && html`<${Foot} />`}<${Notice} />${help.value && html`<${Help} />`}`;
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
  Backspace: undo,
  n: () => nextOpen(),
  e: expand,
  Enter: () => (opened() ? go({ open: null }) : go({ open: "1", at: cellAt(cursor.peek())?.sha256 ?? null })),
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
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  f: straighten,
};

const SAMPLE = {
  Backspace: judgeUndo,
  ArrowRight: () => judgeMove(1),
  ArrowLeft: () => judgeMove(-1),
  " ": () => judgeMove(1),
  Escape: leave,
};

// Hangul's layout gives other letters for the same keys.
const HANGUL = { ㅠ: "b", ㅎ: "g", ㅜ: "n", ㄷ: "e", ㄱ: "r", ㄲ: "R", ㄹ: "f", ㅁ: "a" };

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=file]), select, textarea");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (help.peek() || event.isComposing || event.altKey) return;
  const key = HANGUL[event.key] ?? event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "a" && view.peek() === "images" && !opened() && result.peek()) {
      selectAll();
      event.preventDefault();
    }
    return;
  }
  const pressing = event.target.closest?.("button, a, summary, [role=button]");
  if (pressing && (key === "Enter" || key === " ")) return;
  const common = COMMON[key];
  let done = common;
  if (common) common();
  else if (view.peek() === "images" && result.peek()?.shown) done = onImages(key, event);
  else if (judging.peek()) done = onSample(key);
  if (done) event.preventDefault();
});

function onImages(key, event) {
  if (/^[0-3]$/.test(key)) return decide(Number(key));
  if (opened()) {
    if (VIEWER[key]) return VIEWER[key]() ?? true;
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
    if (by) {
      moveTo(cursor.peek() + by);
      return true;
    }
  } else if (arrow(event)) return true;
  if (!IMAGES[key]) return false;
  IMAGES[key]();
  return true;
}

function onSample(key) {
  if (/^[0-3]$/.test(key)) return judge(Number(key));
  if (!SAMPLE[key]) return false;
  SAMPLE[key]();
  return true;
}

render(html`<${Desk} />`, document.getElementById("desk"));
attempt(waitForCase());
look(0);
