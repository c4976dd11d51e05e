// The page of `mayak answers`: a person decides what a model's unread answers say.

import { render as draw } from "./vendor/preact.js";
import { useEffect, useState } from "./vendor/hooks.js";
import { computed, signal } from "./vendor/signals.js";
import { ask, blur, boot, html, labelName, language, notice, plain, render, send, t, tell } from "./core.js";
import { Keyboard, REPEATING } from "./keys.js";
import { Button, Shape } from "./parts.js";
import { WORDS } from "./words.js";

const answers = signal(null);
const at = signal(0);
const isLabelled = (position) => (answers.value?.[position]?.label ?? null) !== null;
const labelled = computed(() => (answers.value ?? []).filter((one) => one.label !== null).length);
/** A label is being stored. Further keys wait for it, because they would be for the next answer. */
const storing = signal(false);

const another = () => boot.languages[(boot.languages.indexOf(language.value) + 1) % boot.languages.length];
const inItself = (code) => new Intl.DisplayNames([code], { type: "language" }).of(code);

function move(to) {
  if (storing.peek() || !answers.peek()?.length) return;
  at.value = Math.min(Math.max(to, 0), answers.peek().length - 1);
}

/** Return the position of the next answer without a label, round the end; null if there is none. */
function nextOpen(from) {
  const all = answers.peek();
  const order = all.map((_, i) => (from + 1 + i) % all.length);
  return order.find((i) => all[i].label === null) ?? null;
}

/** Store what the answer says, and go on; null withdraws it. */
async function decide(label) {
  const position = at.peek();
  const shown = answers.peek()?.[position];
  if (storing.peek() || !shown) return;
  storing.value = true;
  try {
    await send("/api/label", { position, answer: shown.answer, label });
    answers.value = answers.peek().map((one, i) => (i === position ? { ...one, label } : one));
    if (label === null) return;
    const next = nextOpen(position);
    if (next === null) tell(t("allLabelled"));
    else at.value = next;
  } catch (error) {
    tell(t("notStored", error.message));
  } finally {
    storing.value = false;
  }
}

function withdraw() {
  if (isLabelled(at.peek())) decide(null);
}

const KEYS = {
  "-": () => decide(-1),
  "−": () => decide(-1),
  Backspace: withdraw,
  b: () => (blur.value = !blur.value),
  n: () => answers.peek() && move(nextOpen(at.peek()) ?? at.peek()),
  ArrowLeft: () => move(at.peek() - 1),
  ArrowRight: () => move(at.peek() + 1),
};

const keyboard = new Keyboard();
addEventListener("keydown", (event) => {
  const { key, repeated } = keyboard.press(event);
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const work = /^[0-3]$/.test(key) ? () => decide(Number(key)) : KEYS[key];
  if (!work) return;
  event.preventDefault();
  // A held key must not label answers that nobody has read.
  if (!repeated || (REPEATING.has(key) && key !== "-")) work();
});
addEventListener("keyup", (event) => keyboard.release(event));
addEventListener("blur", () => keyboard.clear());

function Head() {
  const all = answers.value?.length ?? 0;
  return html`<header class="head">
    <span class="home"><img src="/static/icon.svg" alt="" width="22" height="22" /><b>mayak</b><bdi class="soft">${plain(boot.case)}</bdi></span>
    <b>${t("unread")}</b><span class="gap"></span>
    <span class="progress"><span class="track"><i style=${{ width: `${(100 * labelled.value) / Math.max(all, 1)}%` }}></i></span>
      <span class="figure">${t("labelled", labelled.value, all)}</span></span>
    <span class="controls">
      <${Button} icon="blur" label=${`${t("blur")} (b)`} text=${t("blur")} on=${blur.value} onClick=${() => (blur.value = !blur.value)} />
      <button type="button" class="wide" lang=${another()} onClick=${() => (language.value = another())}><span>${inItself(another())}</span></button>
    </span>
  </header>`;
}

function Picture({ position }) {
  const [failed, setFailed] = useState(false);
  return failed
    ? html`<p class="empty soft">${t("noPictureHere")}</p>`
    : html`<img class="picture" src=${`/picture/${position}`} alt="" draggable=${false} onError=${() => setFailed(true)} />`;
}

const Verdict = ({ label, sign, name, pressed }) =>
  html`<button type="button" class=${`verdict l${label}`} aria-pressed=${String(pressed)} onClick=${(event) => {
    event.currentTarget.blur();
    // The second click of a double click would be for the next answer.
    if (event.detail < 2) decide(label);
  }}><${Shape} label=${label} /><kbd>${sign}</kbd><span>${name}</span></button>`;

function Answer() {
  const position = at.value;
  const { answer, label } = answers.value[position];
  return html`<main class="answering">
    <div class="stage"><${Picture} position=${position} key=${position} /></div>
    <section>
      <p>${t("answerIntro")}</p>
      <blockquote lang="">${answer.trim() ? answer.split("\n").map((line) => html`<p>${plain(line)}</p>`) : html`<p class="soft">${t("emptyAnswer")}</p>`}</blockquote>
      <div class="verdicts" role="group" aria-label=${t("answerIntro")}>
        ${boot.labels.map((_, one) => html`<${Verdict} label=${one} sign=${one} name=${labelName(one)} pressed=${label === one} />`)}
        <${Verdict} label=${-1} sign="−" name=${t("staysUnread")} pressed=${label === -1} />
      </div>
      <div class="bar"><${Button} icon="left" label=${`${t("previous")} (←)`} disabled=${position === 0} onClick=${() => move(position - 1)} />
        <span class="figure">${position + 1} / ${answers.value.length}</span>
        <${Button} icon="undo" label=${`${t("withdrawLabel")} (Backspace)`} disabled=${label === null} onClick=${withdraw} />
        <${Button} icon="right" label=${`${t("next")} (→)`} disabled=${position === answers.value.length - 1} onClick=${() => move(position + 1)} /></div>
      <p class="soft small">${t("answerQuestion")}: <span lang="ko">${boot.question}</span></p>
      <dl class="soft small">${WORDS.answerKeys.map(([keys, what]) => html`<dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${render(what)}</dd>`)}</dl>
    </section>
  </main>`;
}

function Page() {
  const all = answers.value;
  useEffect(() => {
    document.title = `${t("unread")} · ${boot.case} · mayak`;
  }, [language.value]);
  return html`<${Head} />
    ${all === null ? html`<p class="empty soft">${t("loading")}</p>` : all.length === 0 ? html`<p class="empty soft">${t("noUnread")}</p>` : html`<${Answer} />`}
    <div class=${`notice ${notice.value ? "shown" : ""}`} role="status" aria-live="polite">${notice.value && notice.value.text}</div>`;
}

draw(html`<${Page} />`, document.getElementById("page"));
ask("/api/answers").then(
  ({ answers: found }) => {
    answers.value = found;
    at.value = Math.max(found.findIndex((one) => one.label === null), 0);
  },
  (error) => tell(error.message),
);
