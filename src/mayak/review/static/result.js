// The result on the page: its cells, the position in it, what is selected and decided.

import { effect, signal, untracked } from "./vendor/signals.js";
import { ask, asked, attempt, blur, go, ofRun, query, stacked, t, tell, view } from "./core.js";
import { actions, labelled } from "./deciding.js";
import { inGrid, onStage } from "./drawn.js";

const PAGE = 120;
const PAGES = 60;

export const result = signal(null);
export const status = signal(null);
/** How much of the case the server has read; null when it has read all. */
export const reading = signal(null);

export async function waitForCase() {
  while ((reading.value = (await ask("/api/reading")).reading))
    await new Promise((done) => setTimeout(done, 400));
}
/** The position on the screen; `actions.position` is the one for the next key. */
export const cursor = signal(0);
/** Selected positions. */
export const selected = signal(new Set());
/** Where the selected range begins. */
let anchor = 0;

/** Counts up when cells were loaded or verdicts have changed. */
export const arrived = signal(0);
let pages = new Map();
let coming = new Map();
/** First and last visible position. */
let sight = [0, 0];
/** Decisions made on this page since the cells were loaded, each with the mark of that time. */
const verdicts = new Map();

/** Keep decisions and withdrawals of this page. */
export function keep(found, mark) {
  for (const [image, verdict] of found) verdicts.set(image, { verdict, mark });
  arrived.value++;
}

function later(cell) {
  const here = verdicts.get(cell.sha256);
  return here && !(here.mark <= cell.mark) ? here : null;
}

export const verdictOf = (cell) => later(cell)?.verdict ?? cell.verdict;

/** How many images of a stack are decided. */
export function decidedOf(cell) {
  if (verdictOf(cell) >= 0) return cell.members;
  return later(cell) ? 0 : (cell.decided ?? 0);
}

// ---------------------------------------------------------------- results

let asking = null;

export async function select() {
  asking?.abort();
  asking = new AbortController();
  const parameters = { ...asked.peek(), stack: stacked.peek() ? "1" : "0" };
  const { sort, at } = query.peek();
  if (sort) parameters.sort = sort;
  if (at) parameters.at = at;
  // Keys typed before the new result is loaded are ignored.
  if (isResult()) actions.close();
  let found;
  try {
    found = await ask("/api/select", parameters, { signal: asking.signal });
  } catch (error) {
    if (error.name !== "AbortError") resume();
    throw error;
  }
  for (const controller of coming.values()) controller.abort();
  pages = new Map();
  coming = new Map();
  verdicts.clear();
  selected.value = new Set();
  const start = found.position ?? 0;
  result.value = { ...found, list: resultList(found) };
  cursor.value = start;
  anchor = start;
  resume();
  arrived.value++;
}

/** Scroll the frame of the grid into sight; returns whether it was out of sight. */
let bringBack = () => false;
export const onReveal = (callback) => (bringBack = callback);

const opened = () => query.peek().open === "1";

/** A result with the interface that the input queue needs. */
const resultList = ({ token, shown: size, mark: read }) => ({
  scope: "images",
  size,
  token,
  frame(position) {
    if (!size) return null;
    const chosen = opened() ? [] : [...selected.peek()].sort((a, b) => a - b);
    const positions = chosen.length ? chosen : [position];
    const mark = positions.reduce((least, at) => Math.min(least, cellAt(at)?.mark ?? read), Infinity);
    const last = positions.at(-1);
    return { at: position, positions, chosen, mark, next: last + 1 < size ? last + 1 : null };
  },
  // Selected images that are out of sight need a confirmation.
  reveal: () => !opened() && !selected.peek().size && bringBack(),
  look({ positions, chosen }) {
    const seen = { how: opened() ? "opened" : "grid", blurred: blur.peek(), positions: {}, count: null };
    if (actions.list !== this) return { ...seen, state: "waiting" };
    const cells = positions.map(cellAt);
    if (positions.length === 1) seen.image = cells[0]?.sha256;
    if (cells.every(Boolean)) seen.count = cells.reduce((sum, cell) => sum + (cell.members ?? 1), 0);
    const states = positions.map((position, n) => {
      const cell = cells[n];
      const state = !cell ? "hidden" : opened() ? onStage(cell.sha256) : inGrid(position);
      if (state === "drawn") seen.positions[cell.sha256] = position;
      return state;
    });
    // Wait for the picture of one image, or for each visible one of several.
    if (states.includes("absent") || states.includes("hidden")) {
      const alone = states[0] === "hidden" ? "waiting" : "absent";
      return { ...seen, state: chosen.length ? "many" : alone };
    }
    return { ...seen, state: states.includes("waiting") ? "waiting" : "drawn" };
  },
  request({ verdict, frame: { positions, mark }, look: { how, blurred, positions: drawn, count, image } }) {
    const shown = { how, blurred, positions: drawn };
    const body = { verdict, mark, shown };
    if (positions.length > 1 || count !== 1) return ["/api/decide", { ...body, token, ranges: ranges(positions), count }];
    return ["/api/decide", { ...body, images: [image] }];
  },
  taken({ next, at }) {
    if (selected.peek().size) selected.value = new Set();
    anchor = next ?? at;
  },
  restored({ chosen }) {
    selected.value = new Set(chosen);
  },
  show: showPlace,
  recorded({ verdict }, { images, mark }) {
    keep(images.map((image) => [image, verdict]), mark);
    if (images.length > 1) tell(t("decidedMany", images.length, labelled(verdict)));
    look();
  },
  withdrawn(_, { verdicts: before, position, mark }) {
    const images = Object.keys(before);
    if (!images.length) {
      tell(t("nothingToUndo"));
      return null;
    }
    keep(Object.entries(before), mark);
    look();
    const to = { view: null, open: null, q: images[0] };
    if (position !== null) tell(t("undone", images.length));
    else tell(t("undoneElsewhere", images.length), [t("show"), () => go(to)]);
    return position;
  },
  finished: () => tell(t("end")),
});

/** Without a result, decisions can still be withdrawn. */
const NOWHERE = resultList({ token: "", shown: 0, mark: 0 });
if (view.peek() !== "images") actions.open(NOWHERE, 0);

function ranges(positions) {
  const found = [];
  for (const at of positions) {
    if (found.length && found.at(-1)[1] === at) found.at(-1)[1]++;
    else found.push([at, at + 1]);
  }
  return found;
}

/** Make the result the list of the input queue (again). */
export function resume() {
  if (isResult()) actions.open(result.peek()?.list ?? NOWHERE, cursor.peek());
}

function isResult() {
  return (actions.list?.scope ?? "images") === "images";
}

// Another filter, sort or stacking makes another result; another position does not.
let shown = null;
effect(() => {
  const key = JSON.stringify([asked.value, query.value.sort, stacked.value]);
  if (view.value !== "images" || key === shown) return;
  shown = key;
  untracked(() => attempt(select()));
});

export const again = () => attempt(select());

/** The cell at a position, if it was loaded. */
export function cellAt(position) {
  return pages.get(Math.floor(position / PAGE))?.[position % PAGE];
}

/** Load the cells from one position to another. */
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
    const { cells, mark } = await ask(
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
    for (const cell of cells) cell.mark = mark;
    pages.set(page, cells);
    if (pages.size > PAGES) pages.delete(pages.keys().next().value);
    arrived.value++;
  } finally {
    if (coming.get(page) === controller) coming.delete(page);
  }
}

/** Load the visible cells first, and again when somebody decides elsewhere. */
export function inSight(first, last) {
  sight = [first, last];
  need(first, last);
}

function renew() {
  const { token } = result.peek();
  const [from, to] = sight.map((position) => Math.floor(Math.max(position, 0) / PAGE));
  const here = Math.floor(cursor.peek() / PAGE);
  for (const page of pages.keys()) {
    if (Math.abs(page - here) > 1 && (page < from || page > to)) pages.delete(page);
    else if (!coming.has(page)) {
      const controller = new AbortController();
      coming.set(page, controller);
      attempt(load(token, page, controller));
    }
  }
}

// ---------------------------------------------------------------- moving

let remembering;

/** Show a position. */
function showPlace(position) {
  if (position === cursor.peek()) return;
  cursor.value = position;
  need(position - 2, position + 4);
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const here = cellAt(cursor.peek());
    if (here && view.peek() === "images") go({ at: here.sha256 }, true);
  }, 150);
}

export function moveTo(position, { extend = false, keep = false } = {}) {
  const all = result.peek()?.shown ?? 0;
  if (!all) return;
  const to = Math.min(Math.max(position, 0), all - 1);
  if (extend) {
    if (!selected.peek().size) anchor = actions.position;
    choose(anchor, to);
  } else {
    anchor = to;
    if (!keep && selected.peek().size) selected.value = new Set();
  }
  actions.move(to);
}

export function choose(from, to, others = new Set()) {
  const next = new Set(others);
  for (let at = Math.min(from, to); at <= Math.max(from, to); at++) next.add(at);
  selected.value = next;
}

export function toggle(position) {
  const next = new Set(selected.peek());
  // The first image that is added to the selection joins the current one.
  if (!next.size && position !== actions.position) next.add(actions.position);
  if (!next.delete(position)) next.add(position);
  selected.value = next;
  anchor = position;
  actions.move(position);
}

export const unselect = () => (selected.value = new Set());

export function skip() {
  const next = [...selected.peek()].reduce((a, b) => Math.max(a, b), actions.position) + 1;
  if (next >= result.peek().shown) tell(t("end"));
  moveTo(next);
}

export const nextOpen = () =>
  actions.find(async (from) => {
    const { token } = result.peek();
    const { position } = await ask("/api/open", { token, start: from + 1 });
    return position;
  });

/** Show each image of the stack under the cursor. */
export function expand() {
  const here = cellAt(actions.position);
  if (here?.members > 1) go({ group: here.group, stack: "0", at: here.sha256, open: null });
}

// ---------------------------------------------------------------- progress of the case

let polling;
/** Functions to call when somebody has decided something. */
export const changed = signal(null);

export function look(soon = 600) {
  clearTimeout(polling);
  polling = setTimeout(async () => {
    try {
      const before = status.peek()?.mark;
      status.value = await ask("/api/status", ofRun.peek());
      if (before !== undefined && before !== status.peek().mark) {
        if (result.peek()) renew();
        await changed.peek()?.();
      }
      await refreshFacets();
    } catch {
      // The next action of the reviewer shows the error; this keeps asking.
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

/** Images that were added or classified since the result was made. */
export function fresh() {
  const now = status.value;
  const then = result.value?.basis;
  return now && then ? Math.max(now.contents - then.contents, now.scored - then.scored) : 0;
}
