// The other views: what was not read, the timeline, the map, the blind sample.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import {
  ask, asked, attempt, boot, bytes, fileTime, filters, go, html, labelName, moment, number, ofRun, plain, query, reasonName, refine,
  send, t,
} from "./core.js";
import { look, status, undo } from "./desk.js";
import { Button, Icon, Shape, Thumbnail } from "./parts.js";

/** What the server says, asked again when the parameters change. */
function useAnswer(path, parameters) {
  const [answer, setAnswer] = useState(null);
  const key = JSON.stringify(parameters);
  useEffect(() => {
    const controller = new AbortController();
    attempt(ask(path, parameters, { signal: controller.signal }).then(setAnswer));
    return () => controller.abort();
  }, [path, key]);
  return answer;
}

// ---------------------------------------------------------------- not read, left out

const MORE = 200;

export function Rejected() {
  const { kind = "", reason = "", rq = "" } = query.value;
  const [count, setCount] = useState(MORE);
  const answer = useAnswer("/api/rejected", { kind, reason, q: rq, start: 0, count: Math.min(count, 400) });
  const rows = useRest(answer, { kind, reason, q: rq }, count);
  const now = status.value;
  const pick = (k, r) =>
    go(kind === k && reason === (r ?? "") ? { kind: null, reason: null } : { kind: k, reason: r ?? null });
  const sum = (k) => answer?.reasons.filter(([name]) => name === k).reduce((n, row) => n + row[2], 0) ?? 0;
  return html`<div class="page rejected">
    ${now && html`<p class="balance">${t("balance", now.items, now.items - now.failures - now.exclusions, now.failures, now.exclusions)}</p>`}
    <form class="search" role="search" aria-label=${t("searchRejected")} onSubmit=${(event) => {
      event.preventDefault();
      go({ rq: event.target.elements.rq.value.trim() || null });
    }}><${Icon} name="search" /><input name="rq" type="search" value=${rq} placeholder=${t("path")} aria-label=${t("path")} /></form>
    <div class="reasons">
      ${["failure", "exclusion"].map(
        (k) => html`<section><h2><button type="button" class="row" aria-pressed=${String(kind === k && !reason)} onClick=${() => pick(k)}>
            <span class="what">${t(k === "failure" ? "failures" : "exclusions")}</span><span class="figure">${number(sum(k))}</span></button></h2>
          ${answer?.reasons.filter(([name]) => name === k).map(
            ([, name, found]) => html`<button type="button" class="row" aria-pressed=${String(kind === k && reason === name)}
              onClick=${() => pick(k, name)}><span class="what"><bdi title=${plain(name)}>${plain(reasonName(name))}</bdi></span><span class="figure">${number(found)}</span></button>`,
          )}</section>`,
      )}
    </div>
    ${answer && html`<table><thead><tr><th>${t("path")}</th><th>${t("reasonAndRecord")}</th><th>${t("bytes")}</th><th>${t("modified")}</th></tr></thead>
      <tbody>${rows.map((item) => {
        const why = item.failure ?? item.exclusion;
        return html`<tr><td><code class="path">${plain(item.path)}</code>${item.deleted && html` <span class="note"><${Icon} name="trash" />${t("deleted")}</span>`}</td>
          <td><b title=${plain(why?.error ?? why?.rule ?? "")}>${plain(reasonName(why?.error ?? why?.rule ?? ""))}</b><br /><span class="soft" lang="en">${plain(why?.message ?? why?.reason ?? "")}</span></td>
          <td class="figure">${bytes(item.size)}</td><td class="figure">${fileTime(item.modified, item.zone_known)}</td></tr>`;
      })}</tbody></table>`}
    ${answer && answer.total === 0 && html`<p class="soft">${t("noRejected")}</p>`}
    ${answer && rows.length < answer.total && html`<button type="button" class="wide" onClick=${() => setCount(count + MORE)}>${t("loadMore")}</button>`}
  </div>`;
}

/** The rows after the first answer's, a page at a time. */
function useRest(answer, parameters, count) {
  const [rows, setRows] = useState([]);
  useEffect(() => setRows(answer?.items ?? []), [answer]);
  useEffect(() => {
    if (!answer || rows.length >= Math.min(count, answer.total) || rows.length < answer.items.length) return;
    attempt(
      ask("/api/rejected", { ...parameters, start: rows.length, count: MORE }).then((more) =>
        setRows([...rows, ...more.items]),
      ),
    );
  }, [answer, count, rows.length]);
  return rows;
}

// ---------------------------------------------------------------- timeline

const day = (seconds) => new Date(seconds * 1000).toISOString();

export function Timeline() {
  const { from: _, to: __, ...rest } = asked.value;
  const answer = useAnswer("/api/timeline", rest);
  const [chosen, setChosen] = useState(null);
  const drag = useRef(null);
  if (!answer) return html`<div class="page"><p class="soft">${t("loading")}</p></div>`;
  const { step, bins, unknown } = answer;
  const first = bins[0]?.[0] ?? 0;
  const slots = bins.length ? (bins.at(-1)[0] - first) / step + 1 : 0;
  // Where years lie empty, only what holds something is drawn.
  const sparse = slots > 400;
  const at = (bin, i) => (sparse ? i : (bin[0] - first) / step);
  const wide = sparse ? bins.length : slots;
  const sum = (bin) => bin.slice(1).reduce((a, b) => a + b, 0);
  const most = Math.max(1, ...bins.map(sum));
  const pick = (a, b) => {
    const [low, high] = [a, b].sort((one, other) => one[0] - other[0]);
    const short = (seconds) => (step < 86400 ? day(seconds).slice(0, 16) : day(seconds).slice(0, 10));
    refine({ view: null, from: short(low[0]), to: short(high[0] + step), sort: "oldest" });
  };
  const inside = (bin) => chosen && bin[0] >= Math.min(...chosen) && bin[0] <= Math.max(...chosen);
  // As many names below as have room.
  const room = Math.ceil(88 / (Math.min(innerWidth, 4000) / wide));
  let named = -room;
  return html`<div class="page timeline">
    <p class="soft">${[t("timelineHint"), bins.length > 0 && t("step", step), unknown > 0 && t("untimed", unknown)].filter(Boolean).join(" · ")}</p>
    <div class="bins" role="list" onPointerUp=${() => {
      if (drag.current) pick(drag.current[0], drag.current[1]);
      drag.current = null;
      setChosen(null);
    }}>
      ${bins.map((bin, i) => {
        const title = day(bin[0]).slice(0, step < 86400 ? 16 : 10).replace("T", " ");
        const name = title.slice(0, 10);
        const fits = wide - at(bin, i) >= room;
        const heading = at(bin, i) - named >= room && (fits || i === bins.length - 1);
        if (heading) named = at(bin, i);
        return html`<button type="button" role="listitem" class=${`bin ${inside(bin) ? "chosen" : ""}`} style=${{ gridColumn: at(bin, i) + 1 }}
            title=${`${title} · ${number(sum(bin))}`} aria-label=${`${title}: ${number(sum(bin))}`}
            onPointerDown=${(event) => {
              event.target.releasePointerCapture?.(event.pointerId);
              drag.current = [bin, bin];
              setChosen([bin[0], bin[0]]);
            }}
            onPointerEnter=${() => {
              if (!drag.current) return;
              drag.current = [drag.current[0], bin];
              setChosen([drag.current[0][0], bin[0]]);
            }}
            onClick=${(event) => event.detail === 0 && pick(bin, bin)}>
          <span class="stack" style=${{ height: `${(sum(bin) / most) * 100}%` }}>
            ${[4, 3, 2, 1, 0].map((l) => bin[l + 1] > 0 && html`<i class=${`l${l - 1}`} style=${{ flexGrow: bin[l + 1] }}></i>`)}
          </span>
          ${heading && html`<span class=${`when ${fits ? "" : "end"}`}>${name}</span>`}
        </button>`;
      })}
    </div>
    <p class="legend">${[3, 2, 1, 0].map((l) => html`<span class="label"><${Shape} label=${l} />${labelName(l)}</span>`)}</p>
  </div>`;
}

// ---------------------------------------------------------------- map

const outline = signal(null);

export function Map() {
  const answer = useAnswer("/api/map", asked.value);
  const [seen, setSeen] = useState(null);
  const [area, setArea] = useState({ width: 800, height: 500 });
  const [picked, setPicked] = useState(null);
  const stage = useRef(null);
  const drag = useRef(null);
  useEffect(() => {
    if (!outline.peek()) attempt(ask("/static/korea.json").then((found) => (outline.value = found)));
    const watched = new ResizeObserver(([{ contentRect }]) => setArea({ width: contentRect.width, height: contentRect.height }));
    watched.observe(stage.current);
    return () => watched.disconnect();
  }, []);
  useEffect(() => {
    setSeen(null);
    setPicked(null);
  }, [answer]);

  // A plate carrée, narrowed by the latitude in its middle.
  const box = seen ?? roomy(answer?.box ?? [33, 124.5, 38.7, 131]);
  const squeeze = Math.cos((((box[0] + box[2]) / 2) * Math.PI) / 180);
  const scale = Math.min(area.width / ((box[3] - box[1]) * squeeze), area.height / (box[2] - box[0]));
  const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const x = (lon) => area.width / 2 + (lon - middle[1]) * squeeze * scale;
  const y = (lat) => area.height / 2 - (lat - middle[0]) * scale;
  const move = (factor, lat = middle[0], lon = middle[1]) => {
    const half = [((box[2] - box[0]) / 2) * factor, ((box[3] - box[1]) / 2) * factor];
    const to = [lat + (middle[0] - lat) * factor, lon + (middle[1] - lon) * factor];
    if (half[0] > 90 || half[0] < 1e-4) return;
    setSeen([to[0] - half[0], to[1] - half[1], to[0] + half[0], to[1] + half[1]]);
  };
  useEffect(() => {
    const wheel = (event) => {
      event.preventDefault();
      const edge = stage.current.getBoundingClientRect();
      const lon = middle[1] + (event.clientX - edge.left - area.width / 2) / squeeze / scale;
      const lat = middle[0] - (event.clientY - edge.top - area.height / 2) / scale;
      move(Math.exp(event.deltaY / 400), lat, lon);
    };
    const { current } = stage;
    current.addEventListener("wheel", wheel, { passive: false });
    return () => current.removeEventListener("wheel", wheel);
  });
  const down = (event) => (drag.current = { at: [event.clientX, event.clientY], middle });
  const pan = (event) => {
    if (!drag.current || !(event.buttons & 1)) return;
    const by = [event.clientX - drag.current.at[0], event.clientY - drag.current.at[1]];
    const half = [(box[2] - box[0]) / 2, (box[3] - box[1]) / 2];
    const to = [drag.current.middle[0] + by[1] / scale, drag.current.middle[1] - by[0] / squeeze / scale];
    setSeen([to[0] - half[0], to[1] - half[1], to[0] + half[0], to[1] + half[1]]);
  };
  const groups = answer?.groups ?? [];
  const total = groups.reduce((n, group) => n + group[2], 0);
  const near = together(groups, x, y);
  const most = Math.max(1, ...near.map((group) => group[2]));
  const filter = () => {
    const half = [area.height / 2 / scale, area.width / 2 / squeeze / scale];
    const to = [middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]];
    refine({ view: null, box: to.map((n) => n.toFixed(5)).join(",") });
  };
  const inSight = near.filter(([lat, lon]) => x(lon) >= 0 && x(lon) <= area.width && y(lat) >= 0 && y(lat) <= area.height);
  return html`<div class="page map">
    <div class="map-bar">
      <span class="soft">${t("mapHint")} ${answer?.unknown > 0 && t("unplaced", answer.unknown)}</span>
      <span class="gap"></span>
      ${filters.value.box && html`<button type="button" class="wide" onClick=${() => go({ box: null })}><span>${t("wholeMap")}</span></button>`}
      <${Button} icon="minus" label=${t("zoomOut")} onClick=${() => move(1.6)} />
      <${Button} icon="plus" label=${t("zoomIn")} onClick=${() => move(1 / 1.6)} />
      <${Button} icon="fit" label=${t("fit")} onClick=${() => setSeen(null)} />
      <button type="button" class="wide primary" disabled=${!inSight.length} onClick=${filter}><span>${t("showThese", inSight.reduce((n, g) => n + g[2], 0))}</span></button>
    </div>
    <div class="sheet" ref=${stage} onPointerDown=${down} onPointerMove=${pan} onPointerUp=${() => (drag.current = null)}>
      <svg viewBox=${`0 0 ${area.width} ${area.height}`} role="img" aria-label=${`${t("map")}: ${number(total)}`}>
        ${graticule(box, x, y, area)}
        ${outline.value && html`<path class="land" d=${path(outline.value, x, y, area)} />`}
        ${near.map((group) => {
          const [lat, lon, count, ...labels] = group;
          const label = labels.indexOf(Math.max(...labels)) - 1;
          const radius = 5 + 14 * Math.sqrt(Math.min(count / most, 1));
          return html`<g class=${`dot l${label} ${picked === group ? "picked" : ""}`} transform=${`translate(${x(lon)} ${y(lat)})`}
              tabindex="0" role="button" aria-label=${`${lat.toFixed(4)}, ${lon.toFixed(4)}: ${number(count)}`}
              onClick=${() => setPicked(group)} onKeyDown=${(e) => e.key === "Enter" && setPicked(group)}>
            <circle r=${radius} />${radius > 10 && html`<text>${number(count)}</text>`}</g>`;
        })}
      </svg>
      ${picked && html`<${Spot} group=${picked} reach=${24 / scale} squeeze=${squeeze} close=${() => setPicked(null)} />`}
    </div>
    ${outline.value && html`<p class="soft small">${t("boundaries")}</p>`}
  </div>`;
}

/** Groups that would lie on each other, as one. */
function together(groups, x, y) {
  const cells = new globalThis.Map();
  for (const group of groups) {
    const key = `${Math.round(x(group[1]) / 40)} ${Math.round(y(group[0]) / 40)}`;
    const one = cells.get(key);
    if (!one) cells.set(key, [...group]);
    else {
      const all = one[2] + group[2];
      one[0] += ((group[0] - one[0]) * group[2]) / all;
      one[1] += ((group[1] - one[1]) * group[2]) / all;
      for (let i = 2; i < group.length; i++) one[i] += group[i];
    }
  }
  return [...cells.values()].sort((a, b) => b[2] - a[2]);
}

function Spot({ group: [lat, lon, count, ...labels], reach, squeeze, close }) {
  const place = useAnswer("/api/region", { lat, lon });
  const box = [lat - reach, lon - reach / squeeze, lat + reach, lon + reach / squeeze];
  return html`<div class="spot" role="status">
    <${Button} icon="close" label=${t("close")} onClick=${close} />
    <b>${place ? (place.region ?? t("abroad")) : "…"}</b>
    <span class="figure soft">${lat.toFixed(5)}, ${lon.toFixed(5)}</span>
    ${[3, 2, 1, 0].map((l) => labels[l + 1] > 0 && html`<span class="label"><${Shape} label=${l} />${labelName(l)} <span class="figure">${number(labels[l + 1])}</span></span>`)}
    <button type="button" class="wide primary" onClick=${() => refine({ view: null, box: box.map((n) => n.toFixed(6)).join(",") })}><span>${t("showThese", count)}</span></button>
  </div>`;
}

function roomy([south, west, north, east]) {
  const room = Math.max((north - south) * 0.15, (east - west) * 0.15, 0.01);
  return [south - room, west - room, north + room, east + room];
}

function graticule(box, x, y, area) {
  const span = box[2] - box[0];
  const step = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30].find((s) => span / s < 8) ?? 60;
  const lines = [];
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  for (let lat = Math.ceil((box[0] - span) / step) * step; lat < box[2] + span; lat += step) {
    lines.push(html`<line x1="0" x2=${area.width} y1=${y(lat)} y2=${y(lat)} /><text x="6" y=${y(lat) - 4}>${lat.toFixed(digits)}°</text>`);
  }
  const wide = (area.width / area.height) * span * 2;
  for (let lon = Math.ceil((box[1] - wide) / step) * step; lon < box[3] + wide; lon += step) {
    lines.push(html`<line y1="0" y2=${area.height} x1=${x(lon)} x2=${x(lon)} /><text x=${x(lon) + 4} y=${area.height - 6}>${lon.toFixed(digits)}°</text>`);
  }
  return html`<g class="graticule">${lines}</g>`;
}

function path({ regions, unit }, x, y, area) {
  const parts = [];
  for (const line of regions.flatMap((region) => region.rings)) {
    let lon = 0;
    let lat = 0;
    let drawn = "";
    let seen = false;
    for (let i = 0; i < line.length; i += 2) {
      lon += line[i];
      lat += line[i + 1];
      const [px, py] = [x(lon / unit), y(lat / unit)];
      seen ||= px > -area.width && px < 2 * area.width && py > -area.height && py < 2 * area.height;
      drawn += `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
    }
    if (seen) parts.push(drawn);
  }
  return parts.join("");
}

// ---------------------------------------------------------------- blind sample

export const judging = signal(null);

async function open(number) {
  const sample = await ask(`/api/samples/${number}`);
  const at = sample.items.findIndex((item) => item.verdict === null);
  judging.value = { ...sample, at: Math.max(at, 0) };
}

/** Judge the image that is shown; true if there was one. */
export function judge(verdict) {
  const now = judging.peek();
  if (!now) return false;
  attempt(
    send(`/api/samples/${now.id}/judge`, { image: now.items[now.at].sha256, verdict }).then(async () => {
      const next = now.at + 1;
      now.items[now.at] = { ...now.items[now.at], verdict };
      const left = now.items.some((item) => item.verdict === null);
      if (left) judging.value = { ...now, at: next < now.items.length ? next : now.items.findIndex((item) => item.verdict === null) };
      else leave();
      look();
    }),
  );
  return true;
}

export function judgeUndo() {
  const now = judging.peek();
  if (!now) return false;
  attempt(undo().then(async () => {
    const sample = await ask(`/api/samples/${now.id}`);
    const at = now.items.findIndex((item, i) => item.verdict !== sample.items[i].verdict);
    judging.value = { ...sample, at: at < 0 ? now.at : at };
  }));
  return true;
}

export function judgeMove(by) {
  const now = judging.peek();
  if (!now) return false;
  judging.value = { ...now, at: Math.min(Math.max(now.at + by, 0), now.items.length - 1) };
  return true;
}

const drawn = signal(0);

export function leave() {
  judging.value = null;
  drawn.value++;
}

export function Sample() {
  const answer = useAnswer("/api/samples", { after: drawn.value });
  const now = judging.value;
  useEffect(() => () => (judging.value = null), []);
  if (now) return html`<${Judging} now=${now} />`;
  const draw = async (event) => {
    event.preventDefault();
    const size = Number(event.target.elements.size.value);
    const { sample } = await send("/api/samples", { size, ...ofRun.peek() });
    drawn.value++;
    await open(sample);
  };
  return html`<div class="page sample">
    <p>${t("sampleIntro")}</p>
    <form onSubmit=${(event) => attempt(draw(event))}>
      <label>${t("sampleSize")}<input name="size" type="number" min="1" max="100000" value="200" /></label>
      <button class="wide primary"><span>${t("draw")}</span></button>
    </form>
    ${answer?.samples.length > 0 && html`<h2>${t("samples")}</h2>`}
    ${[...(answer?.samples ?? [])].reverse().map(
      (sample) => html`<section class="card">
        <b>#${sample.id} · ${moment(sample.drawn)}</b>
        <span class="soft">${t("judged", sample.judged, sample.size)} · ${t("otherReviewer", plain(sample.reviewer))}</span>
        ${sample.missed && html`<p>${t("missed", sample.missed)}</p>`}
        ${sample.reviewer === boot.reviewer && sample.judged < sample.size && html`<button type="button" class="wide" onClick=${() => attempt(open(sample.id))}><span>${t("goOn")}</span></button>`}
      </section>`,
    )}
  </div>`;
}

function Judging({ now }) {
  const item = now.items[now.at];
  const judged = now.items.filter((one) => one.verdict !== null).length;
  return html`<div class="page judging">
    <div class="map-bar"><button type="button" class="link" onClick=${leave}>← ${t("backToSamples")}</button>
      <span class="gap"></span><span class="figure">${now.at + 1} / ${now.items.length}</span>
      <span class="soft">${t("judged", judged, now.size)}</span></div>
    <div class="stage"><div class="lying" key=${item.sha256}>
      <${Thumbnail} digest=${item.thumbnail} />
      <img class="picture full" src=${`/image/${item.sha256}`} alt="" draggable=${false} onError=${(event) => event.target.remove()} />
    </div></div>
    <footer><div class="verdicts" role="group" aria-label=${t("decide")}>
      ${boot.labels.map(
        (_, label) => html`<button type="button" class=${`verdict l${label}`} aria-pressed=${String(item.verdict === label)} onClick=${() => judge(label)}>
          <${Shape} label=${label} /><kbd>${label}</kbd><span>${labelName(label)}</span></button>`,
      )}</div>
      <${Button} icon="undo" label=${t("undo")} onClick=${judgeUndo} /></footer>
  </div>`;
}
