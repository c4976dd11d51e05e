// The other views: files that were not read, and the timeline. The map is in map.js.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import {
  ask, asked, attempt, bytes, fileTime, go, html, labelName, number, plain, query, reasonName, refine, t,
} from "./core.js";
import { status } from "./result.js";
import { Icon, Shape } from "./parts.js";

/** The server's answer, requested again when the parameters change. */
export function useAnswer(path, parameters) {
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
  const { kind = "", reason = "", filekind = "", rq = "" } = query.value;
  const [count, setCount] = useState(MORE);
  const wanted = { kind, reason, q: rq, file_kind: filekind };
  const answer = useAnswer("/api/rejected", { ...wanted, start: 0, count: Math.min(count, 400) });
  const rows = useRest(answer, wanted, count);
  const now = status.value;
  const pick = (k, r) =>
    go({ filekind: null, ...(kind === k && reason === (r ?? "") ? { kind: null, reason: null } : { kind: k, reason: r ?? null }) });
  // The kinds of the chosen reason; a reason without kinds has one row, which would say nothing.
  const kindsOf = (k, r) => {
    const found = answer.kinds.filter(([name, why]) => name === k && why === r);
    return kind === k && reason === r && found.some((row) => row[2]) ? found : [];
  };
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
              onClick=${() => pick(k, name)}><span class="what"><bdi title=${plain(name)}>${plain(reasonName(name))}</bdi></span><span class="figure">${number(found)}</span></button>
              ${kindsOf(k, name).map(([, , what, n]) => html`<button type="button" class="row file-kind" aria-pressed=${String(filekind === (what || "-"))}
                onClick=${() => go({ filekind: filekind === (what || "-") ? null : what || "-" })}><span class="what"><bdi>${what ? plain(reasonName(what)) : t("kindNotKnown")}</bdi></span><span class="figure">${number(n)}</span></button>`)}`,
          )}</section>`,
      )}
    </div>
    ${answer && Object.entries(answer.unexamined).map(([n, space]) => html`<p class="soft unexamined">${t("notLookedAt", n, space)}</p>`)}
    ${answer && html`<table><thead><tr><th>${t("path")}</th><th>${t("entry")}</th><th>${t("reasonAndRecord")}</th><th>${t("bytes")}</th><th>${t("modified")}</th></tr></thead>
      <tbody>${rows.map((item) => {
        const why = item.failure ?? item.exclusion;
        return html`<tr><td><code class="path">${plain(item.path)}</code>${item.deleted && html` <span class="note"><${Icon} name="trash" />${t("deleted")}</span>`}</td>
          <td class="figure">${plain(item.entry ?? "")}</td><td><b title=${plain(why?.error ?? why?.rule ?? "")}>${plain(reasonName(why?.error ?? why?.rule ?? ""))}</b><br /><span class="soft" lang="en">${plain(why?.message ?? why?.reason ?? "")}</span></td>
          <td class="figure">${bytes(item.size)}</td><td class="figure">${fileTime(item.modified, item.zone_known)}</td></tr>`;
      })}</tbody></table>`}
    ${answer && answer.total === 0 && html`<p class="soft">${t("noRejected")}</p>`}
    ${answer && rows.length < answer.total && html`<button type="button" class="wide" onClick=${() => setCount(count + MORE)}>${t("loadMore")}</button>`}
  </div>`;
}

/** Further rows after the first answer, one page at a time. */
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
  // If there are empty years, only the intervals with images are drawn.
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
  // As many labels as there is room for.
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
