// The blind sample: images that are judged without seeing scores.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import { ask, attempt, blur, boot, html, labelName, moment, ofRun, plain, send, t, tell } from "./core.js";
import { actions, press } from "./deciding.js";
import { changed, look, resume } from "./result.js";
import { loaded, lookAgain, onStage } from "./drawn.js";
import { Button, Shape, Thumbnail } from "./parts.js";
import { useAnswer } from "./views.js";

/** The sample that is judged, as the server returned it, with `at`, the position on the screen. */
export const judging = signal(null);

const drawings = signal(0);

const load = (number) => ask(`/api/samples/${number}`);

/** The mark of the decisions when the last one was made on this page. */
let newest = 0;

/** Update what has been judged, here or elsewhere. */
async function refresh() {
  const now = judging.peek();
  if (!now) return;
  let found;
  // An older answer does not overwrite what was judged here meanwhile.
  do found = await load(now.id);
  while (found.mark < newest);
  if (judging.peek()?.id === now.id) judging.value = { ...found, at: judging.peek().at };
}

async function open(number) {
  const sample = await load(number);
  const at = Math.max(sample.items.findIndex((item) => item.verdict === null), 0);
  judging.value = { ...sample, at };
  actions.open(sampleList(sample), at);
  changed.value = refresh;
}

/** A sample with the interface that the input queue needs. */
const sampleList = ({ id, items: { length: size } }) => ({
  scope: `sample ${id}`,
  size,
  sample: id,
  frame(position) {
    const { items, mark } = judging.peek();
    const pending = new Set(actions.pending.map((action) => action.frame?.image));
    const open = items.findIndex((item, at) => at !== position && item.verdict === null && !pending.has(item.sha256));
    // In the order of the draw, then the images that were skipped.
    const next = open < 0 ? null : position + 1 < size ? position + 1 : open;
    return { at: position, image: items[position].sha256, mark, next };
  },
  reveal: () => false,
  look({ image, at }) {
    const state = actions.list === this ? onStage(image) : "waiting";
    return { state, how: "opened", blurred: blur.peek(), count: 1, positions: state === "drawn" ? { [image]: at } : {} };
  },
  request({ verdict, frame: { image, mark }, look: { how, blurred, positions } }) {
    return [`/api/samples/${id}/judge`, { image, verdict, mark, shown: { how, blurred, positions } }];
  },
  taken() {},
  restored() {},
  show(position) {
    const now = judging.peek();
    if (now && now.at !== position) judging.value = { ...now, at: position };
  },
  recorded({ verdict, frame }, { mark }) {
    newest = mark;
    const now = judging.peek();
    if (now?.id === id) {
      const items = now.items.map((item) => (item.sha256 === frame.image ? { ...item, verdict } : item));
      judging.value = { ...now, items };
    }
    look();
  },
  async withdrawn(_, { verdicts, mark }) {
    newest = mark;
    const [image] = Object.keys(verdicts);
    if (!image) tell(t("nothingToUndo"));
    await refresh();
    look();
    const position = judging.peek()?.items.findIndex((item) => item.sha256 === image) ?? -1;
    return position < 0 ? null : position;
  },
  finished: () => leave(),
});

export function leave() {
  judging.value = null;
  changed.value = null;
  drawings.value++;
  actions.close();
  resume();
}

export function Sample() {
  const answer = useAnswer("/api/samples", { after: drawings.value });
  const now = judging.value;
  useEffect(() => () => judging.peek() && leave(), []);
  if (now) return html`<${Judging} now=${now} />`;
  const draw = async (event) => {
    event.preventDefault();
    const size = Number(event.target.elements.size.value);
    const { sample } = await send("/api/samples", { size, ...ofRun.peek() });
    drawings.value++;
    await open(sample);
  };
  return html`<div class="page sample">
    <p>${t("sampleIntro")}</p>
    <form onSubmit=${(event) => attempt(draw(event))}>
      <label>${t("sampleSize")}<input name="size" type="number" min="1" max="100000" defaultValue="200" /></label>
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
  const whole = useRef(null);
  const item = now.items[now.at];
  const judged = now.items.filter((one) => one.verdict !== null).length;
  useEffect(() => whole.current.focus(), []);
  return html`<div class="page judging" ref=${whole} tabindex="-1" role="group" aria-label=${t("sample")}>
    <div class="map-bar"><button type="button" class="link" onClick=${leave}>← ${t("backToSamples")}</button>
      <span class="gap"></span><span class="figure">${now.at + 1} / ${now.items.length}</span>
      <span class="soft">${t("judged", judged, now.size)}</span>
      <${Button} icon="blur" label=${`${t("blur")} (b)`} text=${t("blur")} on=${blur.value} onClick=${() => (blur.value = !blur.value)} /></div>
    <div class="stage"><${Blind} item=${item} key=${item.sha256} /></div>
    <footer><div class="verdicts" role="group" aria-label=${t("decide")}>
      ${boot.labels.map(
        (_, label) => html`<button type="button" class=${`verdict l${label}`} aria-pressed=${String(item.verdict === label)} onClick=${(event) => {
          if (event.detail) whole.current.focus();
          press(event, label);
        }}><${Shape} label=${label} /><kbd>${label}</kbd><span>${labelName(label)}</span></button>`,
      )}</div>
      <${Button} icon="undo" label=${`${t("undo")} (Backspace)`} onClick=${() => actions.undo()} /></footer>
    <p class="keys" aria-hidden="true">
      <span><kbd>0</kbd>–<kbd>3</kbd> ${t("decide")}</span><span><kbd>Space</kbd> ${t("skip")}</span>
      <span><kbd>⌫</kbd> ${t("undo")}</span><span><kbd>←</kbd> <kbd>→</kbd> ${t("move")}</span>
      <span><kbd>b</kbd> ${t("blur")}</span><span><kbd>g</kbd> ${t("grey")}</span><span><kbd>Esc</kbd> ${t("backToSamples")}</span></p>
  </div>`;
}

function Blind({ item }) {
  const [failed, setFailed] = useState(false);
  useEffect(lookAgain, [failed]);
  return html`<div class="lying" data-sha256=${item.sha256} data-failed=${failed ? "1" : undefined}>
    <${Thumbnail} digest=${item.thumbnail} />
    ${!failed && html`<img class="picture full" src=${`/image/${item.sha256}`} alt="" draggable=${false} onLoad=${loaded} onError=${() => setFailed(true)} />`}
  </div>`;
}
