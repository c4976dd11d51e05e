// The map: where images were taken, in clusters that the server makes for the visible part.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import { ask, asked, attempt, filters, go, html, labelName, number, refine, t } from "./core.js";
import { Button, Shape } from "./parts.js";
import { useAnswer } from "./views.js";

const outline = signal(null);
/** Pixels that a cluster spans at most: no more than its circle. */
const REACH = 40;
/** Milliseconds without movement before the server is asked for the visible part. */
const SETTLED = 150;

export function Map() {
  const [seen, setSeen] = useState(null);
  const [area, setArea] = useState({ width: 800, height: 500 });
  const [picked, setPicked] = useState(null);
  const [sight, setSight] = useState(null);
  const answer = useAnswer("/api/map", { ...asked.value, ...(sight && { sight }) });
  const stage = useRef(null);
  const drag = useRef(null);
  const dragged = useRef(false);
  useEffect(() => {
    if (!outline.peek()) attempt(ask("/static/korea.json").then((found) => (outline.value = found)));
    const watched = new ResizeObserver(([{ contentRect }]) => setArea({ width: contentRect.width, height: contentRect.height }));
    watched.observe(stage.current);
    return () => watched.disconnect();
  }, []);
  const filter = JSON.stringify(asked.value);
  useEffect(() => {
    setSeen(null);
    setPicked(null);
  }, [filter]);

  // A plate carrée, narrowed by the latitude in its middle.
  const box = seen ?? roomy(answer?.all ?? [33, 124.5, 38.7, 131]);
  const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const squeeze = Math.cos((middle[0] * Math.PI) / 180);
  const scale = Math.min(area.width / ((box[3] - box[1]) * squeeze), area.height / (box[2] - box[0]));
  const x = (lon) => area.width / 2 + (lon - middle[1]) * squeeze * scale;
  const y = (lat) => area.height / 2 - (lat - middle[0]) * scale;
  const centre = (lat, lon, half) => {
    // Not to the poles, where the map would have no width.
    const to = Math.min(Math.max(lat, -85), 85);
    setSeen([to - half[0], lon - half[1], to + half[0], lon + half[1]]);
  };
  const move = (factor, lat = middle[0], lon = middle[1]) => {
    const half = [((box[2] - box[0]) / 2) * factor, ((box[3] - box[1]) / 2) * factor];
    if (half[0] > 90 || half[0] < 1e-4) return;
    centre(lat + (middle[0] - lat) * factor, lon + (middle[1] - lon) * factor, half);
  };
  useEffect(() => {
    const wheel = (event) => {
      if (event.target.closest(".spot")) return;
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
  const down = (event) => {
    dragged.current = false;
    drag.current = event.target.closest(".spot") ? null : { at: [event.clientX, event.clientY], middle };
  };
  const pan = (event) => {
    if (!drag.current || !(event.buttons & 1)) return;
    const by = [event.clientX - drag.current.at[0], event.clientY - drag.current.at[1]];
    if (Math.hypot(...by) < 4) return;
    dragged.current = true;
    const half = [(box[2] - box[0]) / 2, (box[3] - box[1]) / 2];
    centre(drag.current.middle[0] + by[1] / scale, drag.current.middle[1] - by[0] / squeeze / scale, half);
  };

  const half = [area.height / 2 / scale, area.width / 2 / squeeze / scale];
  const now = [middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1], REACH / scale].join(",");
  useEffect(() => {
    if (!answer?.all) return;
    const timer = setTimeout(() => setSight(now), SETTLED);
    return () => clearTimeout(timer);
  }, [now, !answer?.all]);
  // The number is not shown until the answer is for the visible part.
  const count = answer && (answer.all === null ? 0 : answer.sight === now ? answer.count : null);

  // For a filter across 180° the map continues beyond it.
  const east = (lon) => (lon < answer.all[1] ? lon + 360 : lon);
  const clusters = answer?.clusters ?? [];
  const most = Math.max(1, ...clusters.map((cluster) => cluster.count));
  const open = clusters.find((cluster) => addressed(cluster.box) === picked);
  const close = () => {
    stage.current.querySelector(".dot.open")?.focus();
    setPicked(null);
  };
  useEffect(() => {
    if (!open) return undefined;
    const key = (event) => event.key === "Escape" && close();
    const elsewhere = (event) => !event.target.closest?.(".spot, .dot") && setPicked(null);
    addEventListener("keydown", key);
    addEventListener("pointerdown", elsewhere);
    return () => {
      removeEventListener("keydown", key);
      removeEventListener("pointerdown", elsewhere);
    };
  }, [open === undefined]);

  return html`<div class="page map">
    <div class="map-bar">
      <span class="soft">${t("mapHint")} ${answer?.unknown > 0 && t("unplaced", answer.unknown)}</span>
      <span class="gap"></span>
      ${filters.value.box && html`<button type="button" class="wide" onClick=${() => go({ box: null })}><span>${t("wholeMap")}</span></button>`}
      <${Button} icon="minus" label=${t("zoomOut")} onClick=${() => move(1.6)} />
      <${Button} icon="plus" label=${t("zoomIn")} onClick=${() => move(1 / 1.6)} />
      <${Button} icon="fit" label=${t("fit")} onClick=${() => setSeen(null)} />
      <${Show} count=${count} box=${answer?.box} />
    </div>
    <div class="sheet" ref=${stage} onPointerDown=${down} onPointerMove=${pan} onPointerUp=${() => (drag.current = null)}>
      <svg viewBox=${`0 0 ${area.width} ${area.height}`} role="group" aria-label=${t("map")}>
        ${graticule(box, x, y, area)}
        ${outline.value && html`<path class="land" d=${path(outline.value, x, y, area)} />`}
        ${clusters.map((cluster) => {
          const [lat, lon] = cluster.at;
          const pick = () => setPicked(addressed(cluster.box));
          const label = cluster.labels.lastIndexOf(Math.max(...cluster.labels)) - 1;
          const radius = 5 + 14 * Math.sqrt(cluster.count / most);
          return html`<g class=${`dot l${label} ${cluster === open ? "open" : ""}`} key=${addressed(cluster.box)}
              transform=${`translate(${x(east(lon))} ${y(lat)})`} tabindex="0" role="button"
              aria-label=${t("imagesAt", cluster.count, cluster.positions, degrees(cluster.at))} onClick=${() => !dragged.current && pick()}
              onKeyDown=${(event) => ["Enter", " "].includes(event.key) && pick()}>
            <circle r=${radius} />${radius > 10 && html`<text>${number(cluster.count)}</text>`}</g>`;
        })}
      </svg>
      ${open && html`<${Spot} key=${picked} cluster=${open} close=${close} right=${x(east(open.at[1])) < area.width / 2} low=${y(open.at[0]) < area.height / 2} />`}
    </div>
    ${outline.value && html`<p class="soft small">${t("boundaries")}</p>`}
  </div>`;
}

/** What is known of a cluster: districts, position, labels. */
function Spot({ cluster, close, right, low }) {
  const { at, box, count, labels, positions } = cluster;
  const answer = useAnswer("/api/regions", { ...asked.value, box: addressed(box) });
  const regions = answer?.regions.map(([name, images]) => [name ?? t("abroad"), images]);
  const first = useRef(null);
  useEffect(() => first.current.querySelector("button").focus(), []);
  return html`<div class=${`spot ${right ? "right" : ""} ${low ? "low" : ""}`} role="dialog" aria-label=${t("imagesAt", count, positions, degrees(at))} ref=${first}>
    <${Button} icon="close" label=${t("close")} onClick=${close} />
    <b>${regions ? (regions.length > 1 ? t("andMore", regions[0][0], regions.length - 1) : regions[0]?.[0]) : "…"}</b>
    <span class="figure soft">${positions > 1 ? t("positions", positions) : degrees(at)}</span>
    ${regions?.length > 1 && html`<ul class="regions">${regions.map(([name, images]) => html`<li><span>${name}</span><span class="figure">${number(images)}</span></li>`)}</ul>`}
    ${[3, 2, 1, 0, -1].map((l) => labels[l + 1] > 0 && html`<span class="label"><${Shape} label=${l} />${labelName(l)} <span class="figure">${number(labels[l + 1])}</span></span>`)}
    <${Show} count=${count} box=${box} />
  </div>`;
}

/** A link to the images in a box, when their number is known. */
const Show = ({ count, box }) =>
  html`<button type="button" class="wide primary" disabled=${!count} onClick=${() => refine({ view: null, box: addressed(box) })}>
    <span>${t("showThese", count)}</span></button>`;

/** A box for the address, with all digits: otherwise images at its border would be left out. */
const addressed = (box) => box.join(",");

const degrees = ([lat, lon]) => `${lat.toFixed(5)}, ${lon.toFixed(5)}`;

function roomy([south, west, north, east]) {
  const room = Math.max((north - south) * 0.15, (east - west) * 0.15, 0.01);
  return [south - room, west - room, north + room, east + room];
}

/** Normalise a longitude to -180° to 180°. */
const turned = (lon) => (Math.abs(lon) <= 180 ? lon : lon - 360 * Math.round(lon / 360));

function graticule(box, x, y, area) {
  const span = box[2] - box[0];
  const step = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30].find((s) => span / s < 8) ?? 60;
  const lines = [];
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  for (let lat = Math.ceil(Math.max(box[0] - span, -90) / step) * step; lat <= Math.min(box[2] + span, 90); lat += step) {
    lines.push(html`<line x1="0" x2=${area.width} y1=${y(lat)} y2=${y(lat)} /><text x="6" y=${y(lat) - 4}>${lat.toFixed(digits)}°</text>`);
  }
  const wide = (area.width / area.height) * span * 2;
  for (let lon = Math.ceil((box[1] - wide) / step) * step; lon < box[3] + wide; lon += step) {
    lines.push(html`<line y1="0" y2=${area.height} x1=${x(lon)} x2=${x(lon)} />${x(lon) > -4 && html`<text x=${x(lon) + 4} y=${area.height - 6}>${turned(lon).toFixed(digits)}°</text>`}`);
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
