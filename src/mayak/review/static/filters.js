// Filters and sorting: the side bar with its counts, the chips, the tool bar.

import { signal } from "./vendor/signals.js";
import {
  attempt, blur, cleared, filters, go, grey, html, labelName, number, plain, query, refine, send,
  size, stacked, t,
} from "./core.js";
import { again, fresh, result, selected, status } from "./result.js";
import { Button, Icon, Label } from "./parts.js";

const STATES = ["open", "decided", "differing"];

export const drawer = signal(false);
const folderText = signal("");

const listOf = (key) => (filters.value[key] ? filters.value[key].split(",") : []);

function flip(key, value) {
  const list = listOf(key);
  const next = list.includes(value) ? list.filter((v) => v !== value) : [...list, value];
  refine({ [key]: next.sort().join(",") || null });
}

const only = (key, value) => refine({ [key]: filters.peek()[key] === value ? null : value });

const Row = ({ on, pick, count, children, title }) =>
  html`<button type="button" class="row" aria-pressed=${String(Boolean(on))} onClick=${pick} title=${title}>
    <span class="what">${children}</span><span class="figure">${number(count ?? 0)}</span></button>`;

const Part = ({ name, children, open = true }) =>
  html`<details class="part" open=${open}><summary>${name}</summary>${children}</details>`;

function Range({ name, key2, step = 0.01 }) {
  const [low, high] = filters.value[key2]?.split(",").map(Number) ?? [0, 1];
  const set = (a, b) => refine({ [key2]: a <= 0 && b >= 1 ? null : `${Math.min(a, b)},${Math.max(a, b)}` });
  return html`<div class="range"><span>${name}</span>
    <input type="number" min="0" max="1" step=${step} value=${low} aria-label=${`${name}, ${t("from")}`}
      onChange=${(e) => set(Number(e.target.value), high)} />
    <span>–</span>
    <input type="number" min="0" max="1" step=${step} value=${high} aria-label=${name}
      onChange=${(e) => set(low, Number(e.target.value))} />
  </div>`;
}

export function Side() {
  const facets = result.value?.facets;
  const chosen = filters.value;
  if (!facets) return html`<aside class="side"></aside>`;
  const sources = status.value?.sources ?? {};
  const wanted = folderText.value.toLowerCase();
  const folders = facets.folder.filter(([name]) => name.toLowerCase().includes(wanted));
  return html`<aside class=${`side ${drawer.value ? "shown" : ""}`} aria-label=${t("filters")}>
    <div class="drawer-head"><b>${t("filters")}</b>
      <${Button} icon="close" label=${t("close")} onClick=${() => (drawer.value = false)} /></div>
    <${Part} name=${t("label")}>
      ${["3", "2", "1", "0", "-1"].map(
        (label) =>
          (label !== "-1" || facets.label[label] > 0) &&
          html`<${Row} on=${listOf("label").includes(label)} pick=${() => flip("label", label)}
            count=${facets.label[label]}><${Label} label=${Number(label)} /><//>`,
      )}
    <//>
    <${Part} name=${t("state")}>
      ${STATES.map(
        (state) =>
          (state !== "differing" || facets.state.differing > 0) &&
          html`<${Row} on=${chosen.state === state} pick=${() => only("state", state)}
            count=${facets.state[state]}>${t(state)}<//>`,
      )}
    <//>
    <${Part} name=${t("verdict")}>
      ${["3", "2", "1", "0"].map(
        (label) =>
          html`<${Row} on=${listOf("verdict").includes(label)} pick=${() => flip("verdict", label)}
            count=${facets.verdict[label]}><${Label} label=${Number(label)} /><//>`,
      )}
    <//>
    <${Part} name=${t("flags")}>
      ${["alert", "deleted", "failed", "located"].map(
        (flag) =>
          html`<${Row} on=${chosen[flag] === "1"} pick=${() => only(flag, "1")}
            count=${facets.flags[flag]}>${t(flag)}<//>`,
      )}
    <//>
    <${Part} name=${t("scores")}>
      <${Range} name=${t("score")} key2="score" />
      <${Range} name=${t("margin")} key2="margin" />
      <div class="range"><span>${t("off")}</span>
        <input type="number" min="0" max="1" step="0.01" value=${chosen.off ?? 0} aria-label=${t("off")}
          onChange=${(e) => refine({ off: Number(e.target.value) > 0 ? e.target.value : null })} /></div>
    <//>
    <${Part} name=${t("taken")}>
      <div class="dates">
        <label>${t("from")}<input type="date" value=${chosen.from?.slice(0, 10) ?? ""}
          onChange=${(e) => refine({ from: e.target.value })} /></label>
        <label>${t("to")}<input type="date" value=${chosen.to?.slice(0, 10) ?? ""}
          onChange=${(e) => refine({ to: e.target.value })} /></label>
      </div>
    <//>
    ${facets.source.length > 0 &&
    html`<${Part} name=${t("source")}>
      ${facets.source.map(([id, count]) => {
        const path = sources[id] ?? `${id}`;
        return html`<${Row} on=${chosen.source === String(id)} pick=${() => only("source", String(id))}
          count=${count} title=${plain(path)}><bdi>${plain(path.split(/[\\/]/).at(-1))}</bdi><//>`;
      })}
    <//>`}
    <${Part} name=${t("camera")} open=${facets.camera.length < 12}>
      ${facets.camera.map(
        ([name, count]) =>
          html`<${Row} on=${chosen.camera === (name || "-")} pick=${() => only("camera", name || "-")}
            count=${count}>${name ? html`<bdi>${plain(name)}</bdi>` : html`<i>${t("noCamera")}</i>`}<//>`,
      )}
    <//>
    <${Part} name=${t("folder")}>
      <input class="find" type="search" placeholder=${t("findFolder")} aria-label=${t("findFolder")}
        value=${folderText.value} onInput=${(e) => (folderText.value = e.target.value)} />
      ${folders.map(
        ([name, count]) =>
          html`<${Row} on=${chosen.folder === name} pick=${() => only("folder", name)} count=${count}
            title=${plain(name)}><bdi class="tail">${plain(name)}</bdi><//>`,
      )}
    <//>
  </aside>`;
}

function chips() {
  const chosen = filters.value;
  const sources = status.value?.sources ?? {};
  const shown = {
    label: () => listOf("label").map((l) => labelName(Number(l))).join(", "),
    verdict: () => listOf("verdict").map((l) => labelName(Number(l))).join(", "),
    state: () => (STATES.includes(chosen.state) ? t(chosen.state) : chosen.state),
    source: () => (sources[chosen.source] ?? chosen.source).split(/[\\/]/).at(-1),
    camera: () => (chosen.camera === "-" ? t("noCamera") : chosen.camera),
    score: () => chosen.score.replace(",", " – "),
    margin: () => chosen.margin.replace(",", " – "),
    off: () => `≥ ${chosen.off}`,
    from: () => chosen.from.replace("T", " "),
    to: () => chosen.to.replace("T", " "),
    q: () => chosen.q,
    folder: () => chosen.folder,
  };
  const names = { q: "text", from: "taken", to: "taken" };
  const words = { from: "from", to: "to" };
  return Object.keys(chosen).map((key) => {
    const flag = ["deleted", "alert", "failed", "located"].includes(key);
    const name = flag ? t(key) : t(words[key] ?? names[key] ?? key);
    const value = shown[key]?.() ?? (flag && chosen[key] === "0" ? "✕" : "");
    return html`<button type="button" class="chip" key=${key} onClick=${() => refine({ [key]: null })}
      aria-label=${t("remove", `${name} ${value}`)}>
      <span class="soft">${name}</span>${value && html`<bdi>${plain(value)}</bdi>`}<${Icon} name="close" /></button>`;
  });
}

/** The model run whose labels and scores are shown; a choice if the case has several runs. */
function Runs() {
  const now = status.value;
  if (!now?.runs.length) return null;
  const name = (run) => t("run", run.id, (run.model ?? "").replace(/@.*/, ""), run.finished);
  if (now.runs.length === 1) return html`<span class="run soft">${name(now.runs[0])}</span>`;
  return html`<label class="choice run"><span>${t("runOf")}</span>
    <select value=${String(query.value.run ?? now.run)} aria-label=${t("runOf")}
      onChange=${(e) => refine({ run: e.target.value })}>
      ${now.runs.map((run) => html`<option value=${String(run.id)}>${name(run)}</option>`)}
    </select></label>`;
}

export function Bar() {
  const now = result.value;
  const sorts = ["first", "score", "doubt", "off-label", "newest", "oldest", "found"];
  if (query.value.near) sorts.unshift("near");
  const more = fresh();
  const some = Object.keys(filters.value).length > 0;
  return html`<div class="bar">
    <span class="narrow"><${Button} icon="filter" label=${t("filters")} text=${t("filters")}
      onClick=${() => (drawer.value = !drawer.value)} /></span>
    <span class="total" aria-live="polite">${now ? t("shown", now.shown, now.total) : t("loading")}</span>
    ${selected.value.size > 1 && html`<span class="picked">${t("selected", selected.value.size)}</span>`}
    ${more > 0 && html`<button type="button" class="more" onClick=${again}>${t("more", more)}</button>`}
    <span class="chips">${chips()}${some && html`<button type="button" class="link" onClick=${() => refine(cleared())}>${t("clear")}</button>`}</span>
    <${Runs} />
    <span class="tools">
      <label class="choice"><span>${t("sort")}</span>
        <select value=${query.value.sort ?? "first"} aria-label=${t("sort")}
          onChange=${(e) => refine({ sort: e.target.value === "first" ? null : e.target.value })}>
          ${sorts.map((sort) => html`<option value=${sort}>${t("sorts", sort)}</option>`)}
        </select></label>
      <${Button} icon="stack" label=${t("stacksHint")} text=${t("stacks")} on=${stacked.value}
        onClick=${() => refine({ stack: stacked.value ? "0" : null })} />
      <button type="button" class="wide" aria-pressed=${String(blur.value)} title="b"
        onClick=${() => (blur.value = !blur.value)}><span>${t("blur")}</span></button>
      <button type="button" class="wide" aria-pressed=${String(grey.value)} title="g"
        onClick=${() => (grey.value = !grey.value)}><span>${t("grey")}</span></button>
      <span class="sizes" role="group" aria-label=${t("size")}>
        <${Button} icon="minus" label=${`${t("size")} −`} disabled=${size.value === 0}
          onClick=${() => (size.value = Math.max(0, size.value - 1))} />
        <${Button} icon="plus" label=${`${t("size")} +`} disabled=${size.value === 3}
          onClick=${() => (size.value = Math.min(3, size.value + 1))} />
      </span>
    </span>
  </div>`;
}

export function Search() {
  const go2 = (event) => {
    event.preventDefault();
    const text = event.target.elements.q.value.trim();
    refine({ q: text || null, view: null });
    event.target.elements.q.blur();
  };
  const file = async (event) => {
    const [chosen] = event.target.files;
    if (!chosen) return;
    event.target.value = "";
    const data = await new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result.split(",")[1] ?? "");
      reader.readAsDataURL(chosen);
    });
    const { near } = await send("/api/search-image", { data });
    go({ ...cleared(), near, sort: "near", stack: "0", view: null, at: null, open: null });
  };
  return html`<form class="search" role="search" aria-label=${t("searchLabel")} onSubmit=${go2}>
    <${Icon} name="search" />
    <input id="search" name="q" type="search" placeholder=${t("search")} aria-label=${t("searchLabel")}
      value=${query.value.q ?? ""} autocomplete="off" spellcheck=${false} />
    <label class="pick" title=${t("searchImage")}><${Icon} name="image" />
      <input type="file" accept="image/*" aria-label=${t("searchImage")} onChange=${(e) => attempt(file(e))} /></label>
  </form>`;
}

