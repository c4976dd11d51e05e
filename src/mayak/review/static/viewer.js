// The viewer: one image, with everything that is known about it.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import {
  ask, blur, boot, bytes, cleared, fileTime, go, html, labelName, moment, number, ofRun, plain, t, tell,
} from "./core.js";
import { actions, press } from "./deciding.js";
import { arrived, cellAt, cursor, decidedOf, expand, moveTo, need, nextOpen, result, skip, verdictOf } from "./result.js";
import { loaded, lookAgain } from "./drawn.js";
import { Button, Icon, Label, Shape, Thumbnail, partly } from "./parts.js";

const STILL = { scale: 1, x: 0, y: 0, turn: 0 };
/** Rotation and zoom of the picture; reset for another picture. */
export const lie = signal(STILL);

export const turn = (by) => (lie.value = { ...STILL, turn: lie.peek().turn + by });
export const straighten = () => (lie.value = { ...STILL, turn: lie.peek().turn });

/** Zoom; a point of the picture (relative to the middle) stays at its position. */
export function zoom(factor, at = [0, 0]) {
  const { scale, x, y, turn } = lie.peek();
  const next = Math.min(Math.max(scale * factor, 1), 40);
  const by = next / scale;
  lie.value = next === 1 ? { ...STILL, turn } : { scale: next, turn, x: at[0] + (x - at[0]) * by, y: at[1] + (y - at[1]) * by };
}

const panel = signal(innerWidth > 900);

export function Viewer() {
  const position = cursor.value;
  const cell = cellAt(position);
  void arrived.value;
  const facts = useFacts(cell?.sha256);
  const whole = useRef(null);
  useEffect(() => need(position - 1, position + 3), [position]);
  useEffect(() => {
    lie.value = STILL;
  }, [cell?.sha256]);
  useEffect(() => {
    // Not a button: the space bar would press it.
    whole.current.focus();
    return () => {
      document.getElementById("grid")?.focus({ preventScroll: true });
      lookAgain();
    };
  }, []);
  const verdict = cell ? verdictOf(cell) : -1;
  const decided = cell ? decidedOf(cell) : 0;
  return html`<section class=${`viewer ${panel.value ? "with-panel" : ""}`} role="dialog" aria-modal="true"
      aria-label=${t("images")} ref=${whole} tabindex="-1">
    <header>
      <${Button} icon="close" label=${t("close")} onClick=${() => go({ open: null })} />
      <span class="figure where">${number(position + 1)} / ${number(result.value.shown)}</span>
      ${cell && verdict >= 0 && html`<span class=${`badge l${verdict}`}><${Icon} name="check" /><${Shape} label=${verdict} />${verdict}</span>`}
      ${cell && partly(cell, verdict, decided) && html`<span class="badge partly" title=${t("partly", decided, cell.members)}>${number(decided)}/${number(cell.members)}</span>`}
      ${cell?.alert && html`<span class="note alert"><${Icon} name="bell" />${t("alert")}</span>`}
      ${cell?.deleted && html`<span class="note"><${Icon} name="trash" />${t("deleted")}</span>`}
      ${cell?.members > 1 &&
      html`<button type="button" class="wide" onClick=${expand}><${Icon} name="stack" /><span>${t("stackOf", cell.members)} · ${t("expand")}</span></button>`}
      ${cell?.similar > 0 &&
      html`<button type="button" class="wide" onClick=${() => go({ ...cleared(), similar: cell.similar_group, stack: "0", at: cell.sha256, open: null })}><span>≈ ${t("similarTo", cell.similar)}</span></button>`}
      <span class="gap"></span>
      <${Button} icon="blur" label=${`${t("blur")} (b)`} on=${blur.value} onClick=${() => (blur.value = !blur.value)} />
      <span class="zooms"><${Button} icon="minus" label=${t("zoomOut")} onClick=${() => zoom(1 / 1.5)} />
        <${Button} icon="plus" label=${t("zoomIn")} onClick=${() => zoom(1.5)} /></span>
      <${Button} icon="fit" label=${t("fit")} onClick=${straighten} />
      <${Button} icon="rotate" label=${t("rotate")} onClick=${() => turn(90)} />
      <${Button} icon="info" label=${t("details")} on=${panel.value} onClick=${() => (panel.value = !panel.value)} />
    </header>
    <${Stage} cell=${cell} />
    ${panel.value && html`<aside class="facts" aria-label=${t("details")}>${facts && html`<${Facts} facts=${facts} />`}</aside>`}
    <footer>
      <${Button} icon="left" label=${t("previous")} onClick=${() => moveTo(actions.position - 1)} />
      <div class="verdicts" role="group" aria-label=${t("decide")}>
        ${boot.labels.map(
          (_, label) =>
            html`<button type="button" class=${`verdict l${label}`} aria-pressed=${String(verdict === label)}
              onClick=${(event) => {
                if (event.detail) whole.current.focus();
                press(event, label);
              }}><${Shape} label=${label} /><kbd>${label}</kbd><span>${labelName(label)}</span></button>`,
        )}
      </div>
      <${Button} icon="skip" label=${t("skip")} onClick=${skip} />
      <${Button} icon="undo" label=${t("undo")} onClick=${() => actions.undo()} />
      <${Button} icon="right" label=${t("nextOpen")} text=${t("nextOpen")} onClick=${nextOpen} />
    </footer>
  </section>`;
}

function Stage({ cell }) {
  const [full, setFull] = useState({});
  const [why, setWhy] = useState(null);
  const stage = useRef(null);
  const pointers = useRef(new Map()).current;
  const sha256 = cell?.sha256;

  useEffect(() => {
    setWhy(null);
    if (!sha256) return;
    // Do not load originals while the reviewer moves quickly.
    const waiting = setTimeout(() => setFull({ sha256 }), 200);
    return () => clearTimeout(waiting);
  }, [sha256]);

  useEffect(lookAgain, [why]);

  const failed = async () => {
    try {
      const answer = await ask(`/image/${sha256}`);
      setWhy(answer.why);
    } catch (error) {
      tell(error.message);
    }
  };

  const wheel = (event) => {
    event.preventDefault();
    const edge = stage.current.getBoundingClientRect();
    const at = [event.clientX - edge.left - edge.width / 2, event.clientY - edge.top - edge.height / 2];
    zoom(Math.exp(-event.deltaY / 300), at);
  };
  useEffect(() => {
    const { current } = stage;
    current.addEventListener("wheel", wheel, { passive: false });
    return () => current.removeEventListener("wheel", wheel);
  }, []);

  const spread = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  const down = (event) => {
    stage.current.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, from: event.clientX });
  };
  const move = (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const apart = pointers.size === 2 ? spread() : 0;
    const by = [event.clientX - before.x, event.clientY - before.y];
    pointers.set(event.pointerId, { ...before, x: event.clientX, y: event.clientY });
    if (pointers.size === 2) zoom(spread() / apart);
    else if (lie.peek().scale > 1) {
      const now = lie.peek();
      lie.value = { ...now, x: now.x + by[0], y: now.y + by[1] };
    }
  };
  const up = (event) => {
    const held = pointers.get(event.pointerId);
    pointers.delete(event.pointerId);
    const moved = held ? event.clientX - held.from : 0;
    if (event.pointerType === "touch" && lie.peek().scale === 1 && Math.abs(moved) > 60) {
      moveTo(actions.position + (moved < 0 ? 1 : -1));
    }
  };

  const { scale, x, y, turn: turned } = lie.value;
  const style = { transform: `translate(${x}px, ${y}px) rotate(${turned}deg) scale(${scale})` };
  return html`<div class=${`stage ${turned % 180 ? "sideways" : ""}`} ref=${stage} onPointerDown=${down}
      onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}
      onDblClick=${() => (scale > 1 ? straighten() : zoom(3))}>
    ${cell &&
    html`<div class="lying" style=${style} key=${sha256} data-sha256=${sha256} data-failed=${why ? "1" : undefined}>
      <${Thumbnail} digest=${cell.thumbnail} alt=${labelName(cell.label)} />
      ${full.sha256 === sha256 && !why && html`<img class="picture full" src=${`/image/${sha256}`} alt="" draggable=${false} onLoad=${loaded} onError=${failed} />`}
    </div>`}
    ${why && html`<p class="why" role="status">${t("thumbnailOnly", why)}</p>`}
  </div>`;
}

function useFacts(sha256) {
  const [facts, setFacts] = useState(null);
  const here = cellAt(cursor.value);
  const decided = here ? verdictOf(here) : -1;
  useEffect(() => {
    if (!sha256) return undefined;
    const controller = new AbortController();
    const waiting = setTimeout(async () => {
      try {
        const found = await ask(`/api/content/${sha256}`, ofRun.peek(), { signal: controller.signal });
        setFacts(found);
        const { cells } = await ask(`/api/near/${sha256}`, ofRun.peek(), { signal: controller.signal });
        setFacts({ ...found, near: cells });
      } catch (error) {
        if (error.name !== "AbortError") tell(error.message);
      }
    }, 80);
    return () => {
      clearTimeout(waiting);
      controller.abort();
    };
  }, [sha256, decided]);
  return facts?.sha256 === sha256 ? facts : null;
}

const Pair = ({ name, children }) => html`<dt>${name}</dt><dd>${children}</dd>`;

function Facts({ facts }) {
  const { metadata } = facts;
  const stated = [
    ["takenAt", metadata.taken],
    ["digitised", metadata.digitised],
    ["fixed", metadata.fixed],
    ["camera", [metadata.make, metadata.model].filter(Boolean).join(" ")],
    ["software", metadata.software],
  ].filter(([, value]) => value);
  const where = metadata.location;
  return html`
    <section><h2>${t("verdicts")}</h2>
      ${facts.verdicts.length === 0 && html`<p class="soft">${t("none")}</p>`}
      ${facts.verdicts.map(
        (said) => html`<p class="said"><${Label} label=${said.verdict} />
          <span class="soft"><bdi>${plain(said.reviewer)}</bdi> · ${moment(said.at)}</span></p>`,
      )}
      ${facts.group[1] > 1 && html`<p class="soft"><${Icon} name="stack" /> ${t("stackOf", facts.group[1])}</p>`}
    </section>
    ${facts.alerts.map(
      (alert) => html`<p class="alert"><${Icon} name="bell" /> ${t("hashBy", plain(alert.list), alert.kind)}</p>`,
    )}
    ${facts.results.map((said) => html`<${Scores} said=${said} many=${facts.results.length > 1} />`)}
    <section><h2>${t("places", facts.occurrences.length)}</h2>
      ${facts.occurrences.slice(0, 50).map(
        (found) => html`<div class="occurrence">
          <code class="path">${plain(found.path)}</code>
          <span class="soft times">${found.entry && html`<span class="figure">${t("entry")} ${plain(found.entry)}</span>`}${found.deleted && html`<b class="deleted"><${Icon} name="trash" />${t("deleted")}</b>`}
            ${["modified", "created", "accessed", "changed"].filter((key) => found[key]).map((key) => html`<span class="figure">${t(key)} ${fileTime(found[key], found.zone_known)}</span>`)}</span>
          ${found.warnings.map((text) => html`<p class="warning">${plain(text)}</p>`)}
        </div>`,
      )}
      ${facts.occurrences.length > 50 && html`<p class="soft">+ ${number(facts.occurrences.length - 50)}</p>`}
    </section>
    ${facts.warnings.length > 0 &&
    html`<section><h2>${t("warnings")}</h2>${facts.warnings.map((text) => html`<p class="warning">${plain(text)}</p>`)}</section>`}
    ${(stated.length > 0 || where) &&
    html`<section><h2 title=${t("statedHint")}>${t("stated")}</h2><dl>
      ${stated.map(([key, value]) => html`<${Pair} name=${t(key)}><bdi>${plain(value)}</bdi><//>`)}
      ${where &&
      html`<${Pair} name=${t("position")}><a href=${`?view=map&at=${facts.sha256}`} class="figure"
          onClick=${(event) => {
            event.preventDefault();
            const { latitude: lat, longitude: lon } = where;
            const box = [lat - 0.01, lon - 0.01, lat + 0.01, lon + 0.01].map((n) => n.toFixed(5)).join(",");
            go({ ...cleared(), view: "map", open: null, box });
          }}>${where.latitude.toFixed(5)}, ${where.longitude.toFixed(5)}</a>
          ${where.altitude !== null && ` · ${t("altitude")} ${Math.round(where.altitude)} m`}
          ${facts.region && html`<br />${facts.region}`}<//>`}
    </dl></section>`}
    <section><h2>${t("file")}</h2><dl>
      <${Pair} name=${t("format")}>${plain(facts.format)}<//>
      <${Pair} name=${t("dimensions")}><span class="figure">${number(facts.width)} × ${number(facts.height)}</span><//>
      <${Pair} name=${t("bytes")}><span class="figure">${bytes(facts.size)}</span><//>
      <${Pair} name="SHA-256"><code>${facts.sha256}</code><//>
      <${Pair} name="SHA-1"><code>${facts.sha1}</code><//>
      <${Pair} name="MD5"><code>${facts.md5}</code><//>
      ${facts.pdq && html`<${Pair} name="PDQ"><code>${facts.pdq}</code> <span class="soft">${t("pdqQuality")} ${facts.pdq_quality}</span><//>`}
    </dl></section>
    ${facts.near?.length > 0 &&
    html`<section><h2>${t("nearest")}</h2>
      <div class="near">${facts.near.map(
        (cell) => html`<a href=${`?near=${facts.pdq}&sort=near&stack=0&at=${cell.sha256}&open=1`} onClick=${(event) => {
          event.preventDefault();
          go({ ...cleared(), near: facts.pdq, sort: "near", stack: "0", at: cell.sha256, open: "1" });
        }}><${Thumbnail} digest=${cell.thumbnail} alt=${labelName(cell.label)} /><${Shape} label=${verdictOf(cell) >= 0 ? verdictOf(cell) : cell.label} /></a>`,
      )}</div>
      <button type="button" class="link" onClick=${() => go({ ...cleared(), near: facts.pdq, sort: "near", stack: "0", at: null, open: null })}>${t("findNear")}</button>
    </section>`}`;
}

function Scores({ said, many }) {
  const title = html`<h2>${t("scores")}${many && html` <span class="soft">${t("otherRun", said.run)}</span>`}</h2>`;
  if (said.error) return html`<section>${title}<p class="warning">${plain(said.error)}</p></section>`;
  const ranked = [...said.scores].sort((a, b) => b - a);
  return html`<section class="scores">${title}
    ${[3, 2, 1, 0].map(
      (label) => html`<div class="score"><${Label} label=${label} />
        <span class="track"><i class=${`l${label}`} style=${{ width: `${said.scores[label] * 100}%` }}></i></span>
        <span class="figure">${said.scores[label].toFixed(3)}</span></div>`,
    )}
    <p class="soft figure">${t("marginShort")} ${(ranked[0] - ranked[1]).toFixed(3)}${ranked[0] === ranked[1] && t("tied")} · ${t("offLabel")} ${said.off_label.toFixed(3)}${!said.is_calibrated && ` · ${t("uncalibrated")}`}</p>
  </section>`;
}
