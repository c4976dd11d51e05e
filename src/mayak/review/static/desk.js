// The result that is looked through: its cells, the place in it, what is selected and decided.

import { effect, signal, untracked } from "./vendor/signals.js";
import { ask, asked, attempt, go, labelName, ofRun, query, send, stacked, t, tell, view } from "./core.js";

const PAGE = 120;
const PAGES = 60;

export const result = signal(null);
export const status = signal(null);
/** How far the server is with reading the case, until it has read all of it. */
export const reading = signal(null);

export async function waitForCase() {
  while ((reading.value = (await ask("/api/reading")).reading))
    await new Promise((done) => setTimeout(done, 400));
}
export const cursor = signal(0);
/** Positions of the result; from where a range is drawn. */
export const selected = signal(new Set());
let anchor = 0;

/** Grows when cells have come or verdicts have changed. */
export const arrived = signal(0);
const verdicts = new Map();
let pages = new Map();
let coming = new Map();

export const verdictOf = (cell) => verdicts.get(cell.sha256) ?? cell.verdict;

// ---------------------------------------------------------------- results

let asking = null;

export async function select() {
  asking?.abort();
  asking = new AbortController();
  const parameters = { ...asked.peek(), stack: stacked.peek() ? "1" : "0" };
  const { sort, at } = query.peek();
  if (sort) parameters.sort = sort;
  if (at) parameters.at = at;
  const found = await ask("/api/select", parameters, { signal: asking.signal });
  for (const controller of coming.values()) controller.abort();
  pages = new Map();
  coming = new Map();
  verdicts.clear();
  selected.value = new Set();
  cursor.value = found.position ?? 0;
  anchor = cursor.value;
  result.value = found;
  arrived.value++;
}

// Another filter, sort or stacking is another result; another place in it is not.
let shown = null;
effect(() => {
  const key = JSON.stringify([asked.value, query.value.sort, stacked.value]);
  if (view.value !== "images" || key === shown) return;
  shown = key;
  untracked(() => attempt(select()));
});

export const again = () => attempt(select());

/** The cell at a position, if it has come. */
export function cellAt(position) {
  return pages.get(Math.floor(position / PAGE))?.[position % PAGE];
}

/** See to it that the cells from one position to another come. */
export function need(first, last) {
  const { token, shown: all } = result.peek() ?? { shown: 0 };
  const from = Math.floor(Math.max(first, 0) / PAGE);
  const to = Math.floor(Math.min(last, all - 1) / PAGE);
  for (const [page, controller] of coming) {
    if (page < from - 1 || page > to + 1) {
      controller.abort();
      coming.delete(page);
    }
  }
  for (let page = from; page <= to; page++) {
    if (pages.has(page) || coming.has(page)) continue;
    const controller = new AbortController();
    coming.set(page, controller);
    attempt(load(token, page, controller));
  }
}

async function load(token, page, controller) {
  try {
    const { cells } = await ask(
      "/api/cells",
      { token, start: page * PAGE, count: PAGE },
      { signal: controller.signal },
    );
    if (token !== result.peek().token) return;
    if (cells === null) {
      const here = cellAt(cursor.peek());
      if (here) go({ at: here.sha256 }, true);
      await select();
      return;
    }
    pages.set(page, cells);
    if (pages.size > PAGES) pages.delete(pages.keys().next().value);
    arrived.value++;
  } finally {
    if (coming.get(page) === controller) coming.delete(page);
  }
}

/** The cell at a position, once it has come; undefined where it cannot be had. */
async function cell(position) {
  for (let waited = 0; waited < 200 && !cellAt(position); waited++) {
    need(position, position);
    await new Promise((done) => setTimeout(done, 25));
  }
  return cellAt(position);
}

// ---------------------------------------------------------------- moving

let remembering;

export function moveTo(position, { extend = false, keep = false } = {}) {
  const all = result.peek()?.shown ?? 0;
  if (!all) return;
  const to = Math.min(Math.max(position, 0), all - 1);
  cursor.value = to;
  if (extend) choose(anchor, to);
  else {
    anchor = to;
    if (!keep && selected.peek().size) selected.value = new Set();
  }
  need(to - 2, to + 4);
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const here = cellAt(cursor.peek());
    if (here && view.peek() === "images") go({ at: here.sha256 }, true);
  }, 150);
}

export function choose(from, to, others = new Set()) {
  const next = new Set(others);
  for (let at = Math.min(from, to); at <= Math.max(from, to); at++) next.add(at);
  selected.value = next;
}

export function toggle(position) {
  const next = new Set(selected.peek());
  // The first one that is added joins the one that was looked at.
  if (!next.size && position !== cursor.peek()) next.add(cursor.peek());
  if (!next.delete(position)) next.add(position);
  selected.value = next;
  cursor.value = position;
  anchor = position;
}

export const unselect = () => (selected.value = new Set());

// ---------------------------------------------------------------- deciding

// One after the other: what is typed fast is done in the order in which it was typed.
let chain = Promise.resolve();
const inTurn = (work) => (chain = chain.then(() => attempt(work())));

export const decide = (verdict) =>
  inTurn(async () => {
    const { token } = result.peek();
    const chosen = [...selected.peek()].sort((a, b) => a - b);
    const here = await cell(cursor.peek());
    if (!here) return;
    const targets = chosen.length ? chosen : [cursor.peek()];
    const whole = chosen.length || here.members > 1;
    const { images } = await send(
      "/api/decide",
      whole ? { verdict, token, ranges: ranges(targets) } : { verdict, images: [here.sha256] },
    );
    // It is on disk now; only then the next image shows.
    for (const image of images) verdicts.set(image, verdict);
    arrived.value++;
    if (images.length > 1) tell(t("decidedMany", images.length, `${verdict} ${labelName(verdict)}`));
    look();
    step(targets.at(-1) + 1);
  });

export const skip = () => inTurn(async () => step(Math.max(cursor.peek(), ...selected.peek()) + 1));

export const nextOpen = () =>
  inTurn(async () => {
    const { token } = result.peek();
    const { position } = await ask("/api/open", { token, start: cursor.peek() + 1 });
    if (position === null) tell(t("end"));
    else moveTo(position);
  });

function step(position) {
  if (position >= result.peek().shown) tell(t("end"));
  moveTo(position);
}

export const undo = () =>
  inTurn(async () => {
    const { verdicts: before, position } = await send("/api/undo", {
      token: result.peek()?.token ?? "",
    });
    const images = Object.keys(before);
    if (!images.length) return tell(t("nothingToUndo"));
    for (const image of images) verdicts.set(image, before[image]);
    arrived.value++;
    look();
    if (position !== null) {
      moveTo(position);
      tell(t("undone", images.length));
    } else {
      const to = { view: null, open: null, q: images[0] };
      tell(t("undoneElsewhere", images.length), [t("show"), () => go(to)]);
    }
  });

function ranges(positions) {
  const found = [];
  for (const at of positions) {
    if (found.length && found.at(-1)[1] === at) found.at(-1)[1]++;
    else found.push([at, at + 1]);
  }
  return found;
}

/** Show each image of the stack under the cursor. */
export const expand = () =>
  inTurn(async () => {
    const here = await cell(cursor.peek());
    if (here?.members > 1) go({ group: here.group, stack: "0", at: here.sha256, open: null });
  });

// ---------------------------------------------------------------- how far the case is

let polling;

export function look(soon = 600) {
  clearTimeout(polling);
  polling = setTimeout(async () => {
    try {
      status.value = await ask("/api/status", ofRun.peek());
      await refreshFacets();
    } catch {
      // Said once by whatever the person does next; asking goes on.
    }
    look(5000);
  }, soon);
}

let counted = null;

async function refreshFacets() {
  const now = result.peek();
  if (!now || view.peek() !== "images" || counted === status.peek().version) return;
  counted = status.peek().version;
  const { facets } = await ask("/api/facets", asked.peek());
  if (now === result.peek()) result.value = { ...now, facets };
}

/** Images that have come or been classified since the result was made. */
export function fresh() {
  const now = status.value;
  const then = result.value?.basis;
  return now && then ? Math.max(now.contents - then.contents, now.scored - then.scored) : 0;
}
