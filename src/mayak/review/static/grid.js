// A grid that scrolls through a million cells of one size: only visible cells are in the page.
//
// Browsers limit the height of a box to about 33 million pixels, so the scrolling box stays below
// that: small movements are applied directly, large ones (of the scroll bar) in proportion, and when
// scrolling ends the bar is moved to the right position.

import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import { effect } from "./vendor/signals.js";
import { go, html, number, size, t } from "./core.js";
import { actions } from "./deciding.js";
import { arrived, cellAt, choose, cursor, decidedOf, inSight, moveTo, onReveal, result, selected, toggle, verdictOf } from "./result.js";
import { lookAgain } from "./drawn.js";
import { Icon, Shape, Thumbnail, described, partly } from "./parts.js";

const HIGHEST = 4_000_000;
const SIDES = [104, 148, 208, 288];
const MOST = 60;

/** For the keyboard: cells in a row, visible rows. */
export const shape = { columns: 1, rows: 1 };

let fresh = true;

export function Grid() {
  const box = useRef(null);
  const state = useRef({ top: 0, bar: 0 }).current;
  const [area, setArea] = useState({ width: 0, height: 0 });
  const [, draw] = useState(0);
  const frame = useRef(0);
  const all = result.value.shown;
  const token = result.value.token;

  // Limit the number of cells for screen readers and old machines: on a very large screen the
  // cells are larger instead.
  const least = Math.sqrt((area.width * area.height) / MOST);
  const wanted = Math.max(Math.min(SIDES[size.value], area.width / 2), least, 1);
  const columns = Math.max(1, Math.floor(area.width / wanted));
  const side = area.width / columns || 1;
  const rows = Math.ceil(all / columns);
  const height = Math.max(rows * side, area.height);
  const real = Math.min(height, Math.max(HIGHEST, area.height));
  const most = height - area.height;
  const top = Math.min(state.top, Math.max(most, 0));
  const first = Math.floor(top / side);
  const last = Math.min(Math.floor((top + area.height - 1) / side), rows - 1);
  Object.assign(shape, { columns, rows: Math.max(1, Math.floor(area.height / side)) });
  Object.assign(state, { side, columns, height, real, most, view: area.height });

  const redraw = () => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => draw((n) => n + 1));
  };

  const settle = () => {
    const bar = state.most > 0 ? (state.top / state.most) * (state.real - state.view) : 0;
    state.bar = state.real === state.height ? state.top : bar;
    if (box.current && Math.abs(box.current.scrollTop - state.bar) >= 1) {
      box.current.scrollTop = state.bar;
      state.bar = box.current.scrollTop;
    }
  };

  const scrolled = () => {
    const now = box.current.scrollTop;
    const moved = now - state.bar;
    state.bar = now;
    if (state.real === state.height) state.top = now;
    else if (Math.abs(moved) > 3 * state.view) {
      state.top = (now / (state.real - state.view)) * state.most;
    } else {
      state.top = Math.min(Math.max(state.top + moved, 0), state.most);
      if (now < state.view || now > state.real - 2 * state.view) settle();
    }
    clearTimeout(state.rest);
    state.rest = setTimeout(settle, 200);
    redraw();
  };

  useLayoutEffect(() => {
    const watched = new ResizeObserver(([{ contentRect }]) =>
      setArea({ width: contentRect.width, height: contentRect.height }),
    );
    watched.observe(box.current);
    return () => watched.disconnect();
  }, []);

  // At first the grid has the focus; later whatever the reviewer gave it to.
  useEffect(() => {
    if (fresh && document.activeElement === document.body) box.current.focus({ preventScroll: true });
    fresh = false;
  }, []);

  const bring = (position) => {
    const over = Math.floor(position / state.columns) * state.side;
    if (over < state.top) state.top = over;
    else if (over + state.side > state.top + state.view) state.top = over + state.side - state.view;
    else return;
    settle();
    redraw();
  };

  // Keep the cursor visible until the reviewer scrolls.
  useEffect(() => effect(() => bring(cursor.value)), [token, columns, area.height, side]);
  useEffect(() => {
    onReveal(() => {
      const middle = (Math.floor(cursor.peek() / state.columns) + 0.5) * state.side;
      const away = middle < state.top || middle > state.top + state.view;
      if (away) bring(cursor.peek());
      return away;
    });
  });

  // Cells that are only scrolled past are not loaded.
  useEffect(() => {
    const waiting = setTimeout(() => inSight(first * columns, (last + 1) * columns), 50);
    return () => clearTimeout(waiting);
  }, [first, last, columns, token]);

  // Cells that became visible count as drawn.
  useEffect(lookAgain);

  const cells = [];
  for (let row = first; row <= last; row++) {
    for (let column = 0; column < columns; column++) {
      const position = row * columns + column;
      if (position >= all) break;
      cells.push(html`<${Cell} key=${position} position=${position} side=${side} all=${all}
        x=${column * side} y=${row * side - top} />`);
    }
  }

  const frameOf = useFrame(box, state, redraw);
  return html`<div class="grid" ref=${box} onScroll=${scrolled} onPointerDown=${frameOf.begin}
      role="listbox" tabindex="0" aria-multiselectable="true" aria-label=${t("images")}
      aria-activedescendant=${`cell-${cursor.value}`} id="grid">
    <div class="span" style=${{ height: `${real}px` }}>
      <div class="layer">${cells}${frameOf.drawn}</div>
    </div>
  </div>`;
}

/** Select all cells that a frame drawn with the mouse touches. */
function useFrame(box, state, redraw) {
  const drag = useRef(null);
  const begin = (down) => {
    if (down.button || down.pointerType === "touch") return;
    if (down.offsetX > box.current.clientWidth && down.target === box.current) return;
    const edge = box.current.getBoundingClientRect();
    const point = (event) => [event.clientX - edge.left, event.clientY - edge.top + state.top];
    const from = point(down);
    const others = down.ctrlKey || down.metaKey ? new Set(selected.peek()) : new Set();
    const move = (event) => {
      const to = point(event);
      if (!drag.current && Math.hypot(to[0] - from[0], to[1] - from[1]) < 8) return;
      drag.current = { from, to };
      const chosen = new Set(others);
      const [left, right] = [from[0], to[0]].sort((a, b) => a - b);
      const [over, under] = [from[1], to[1]].sort((a, b) => a - b);
      const column = (x) => Math.min(Math.max(Math.floor(x / state.side), 0), state.columns - 1);
      for (let row = Math.max(Math.floor(over / state.side), 0); row <= under / state.side; row++) {
        for (let at = column(left); at <= column(right); at++) {
          const position = row * state.columns + at;
          if (position < result.peek().shown) chosen.add(position);
        }
      }
      selected.value = chosen;
      redraw();
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      // The click that follows ends the frame; it does not select a cell.
      if (drag.current) {
        addEventListener("click", (click) => click.stopPropagation(), { capture: true, once: true });
        setTimeout(() => (drag.current = null));
      }
      redraw();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  };
  if (!drag.current) return { begin, drawn: null };
  const { from, to } = drag.current;
  const style = {
    left: `${Math.min(from[0], to[0])}px`,
    top: `${Math.min(from[1], to[1]) - state.top}px`,
    width: `${Math.abs(to[0] - from[0])}px`,
    height: `${Math.abs(to[1] - from[1])}px`,
  };
  return { begin, drawn: html`<div class="frame" style=${style}></div>` };
}

function Cell({ position, side, x, y, all }) {
  void arrived.value; // with the same place it is drawn again for a signal only
  const cell = cellAt(position);
  const verdict = cell ? verdictOf(cell) : -1;
  const decided = cell ? decidedOf(cell) : 0;
  const current = cursor.value === position;
  const chosen = selected.value.has(position);
  const style = { width: `${side}px`, height: `${side}px`, transform: `translate(${x}px, ${y}px)` };
  const names = ["cell"];
  if (current) names.push("current");
  if (chosen) names.push("chosen");
  if (verdict >= 0) names.push("decided");
  if (cell?.members > 1) names.push("stacked");
  const click = (event) => {
    if (event.shiftKey) moveTo(position, { extend: true });
    else if (event.ctrlKey || event.metaKey) toggle(position);
    else {
      moveTo(position);
      if (event.pointerType === "touch") go({ open: "1", at: cell?.sha256 ?? null });
    }
  };
  return html`<div class=${names.join(" ")} style=${style} role="option" id=${`cell-${position}`}
      aria-selected=${String(chosen || current)} aria-posinset=${position + 1} aria-setsize=${all}
      aria-label=${cell ? described(cell, verdict, decided) : t("loading")} data-sha256=${cell?.sha256}
      data-verdict=${verdict} onClick=${click}
      onDblClick=${() => go({ open: "1", at: cell?.sha256 ?? null })}>
    <div class="face">
      ${cell && html`<${Thumbnail} digest=${cell.thumbnail} />`}
      ${cell && html`<${Marks} cell=${cell} verdict=${verdict} decided=${decided} />`}
    </div>
  </div>`;
}

const Marks = ({ cell, verdict, decided }) => html`
  ${partly(cell, verdict, decided) &&
  html`<span class="badge partly" title=${t("partly", decided, cell.members)}>${number(decided)}/${number(cell.members)}</span>`}
  ${verdict >= 0 &&
  html`<span class=${`badge l${verdict}`}><${Icon} name="check" /><${Shape} label=${verdict} />${verdict}</span>`}
  <span class="marks">
    ${cell.alert && html`<i class="mark alert" title=${t("alert")}><${Icon} name="bell" /></i>`}
    ${cell.differs && html`<i class="mark" title=${t("differing")}><${Icon} name="differ" /></i>`}
    ${cell.deleted && html`<i class="mark" title=${t("deleted")}><${Icon} name="trash" /></i>`}
  </span>
  <span class="foot">
    <${Shape} label=${cell.label} />
    <span class="figure">${cell.score === null ? "–" : cell.score.toFixed(2)}</span>
    ${cell.members > 1 && html`<span class="count" title=${t("stackOf", cell.members)}><${Icon} name="stack" />${number(cell.members)}</span>`}
    ${cell.similar > 0 && html`<span class="count" title=${t("similarTo", cell.similar)}>≈${number(cell.similar)}</span>`}
    ${cell.occurrences > 1 && html`<span class="count" title=${t("places2", cell.occurrences)}><${Icon} name="pin" />${cell.occurrences}</span>`}
  </span>`;

/** Arrow keys; with shift they select. */
export function arrow(key, shifted) {
  const steps = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -shape.columns,
    ArrowDown: shape.columns,
    PageUp: -shape.columns * shape.rows,
    PageDown: shape.columns * shape.rows,
    Home: -Infinity,
    End: Infinity,
  };
  const step = steps[key];
  if (step === undefined) return false;
  const to = step === Infinity ? result.peek().shown - 1 : step === -Infinity ? 0 : actions.position + step;
  // A step off the first or last row stays where it is.
  if (Math.abs(step) === shape.columns && (to < 0 || to >= result.peek().shown)) return true;
  moveTo(to, { extend: shifted });
  return true;
}

export const selectAll = () => choose(0, result.peek().shown - 1);
